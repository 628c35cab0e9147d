# Starter and runner are in a network: from there they may ask the internal functions for their health (preflight), and
# call the workers.

locals {
  # Workers that do not run on Google are asked through a gateway: Private Google Access leads to Google alone.
  is_gateway_needed = anytrue([
    for worker in values(try(local.pipeline.workers, {})) :
    try(worker.url, null) != null && !can(regex("^https://[^/]+\\.(run\\.app|cloudfunctions\\.net)(/|$)", worker.url))
  ])
}

resource "google_compute_network" "functions" {
  name                    = "phasegate"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.this]
}

resource "google_compute_subnetwork" "functions" {
  name                     = "phasegate"
  network                  = google_compute_network.functions.id
  region                   = var.region
  ip_cidr_range            = "10.8.0.0/24" # two addresses for each instance of starter and runner; nothing is peered with it
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Functions call out; nobody calls into the network.
resource "google_compute_firewall" "nobody_comes_in" {
  name      = "phasegate-nobody-comes-in"
  network   = google_compute_network.functions.id
  direction = "INGRESS"
  priority  = 1000

  source_ranges = ["0.0.0.0/0"]
  deny {
    protocol = "all"
  }
}

resource "google_compute_router" "functions" {
  count = local.is_gateway_needed ? 1 : 0

  name    = "phasegate"
  network = google_compute_network.functions.id
  region  = var.region
}

resource "google_compute_router_nat" "functions" {
  count = local.is_gateway_needed ? 1 : 0

  name                               = "phasegate"
  router                             = google_compute_router.functions[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}
