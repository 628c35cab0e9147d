# The functions, and the workers that are deployed with them: all from one source archive.

locals {
  # shared/phasegate/adapters/gcp/layout.py lists the same functions: a test compares the two.
  # people: whether people call it, so that it must be reachable from outside of the project (never without a right).
  functions = {
    starter    = { people = true, concurrency = 8, memory = "1Gi", max_instances = 5, timeout_seconds = 540 }
    dispatcher = { people = false, concurrency = 8, memory = "1Gi", max_instances = null, timeout_seconds = 600 }
    runner     = { people = false, concurrency = 32, memory = "1Gi", max_instances = null, timeout_seconds = 1860 }
    listener   = { people = false, concurrency = 8, memory = "1Gi", max_instances = 20, timeout_seconds = 540 }
    conductor  = { people = false, concurrency = 2, memory = "2Gi", max_instances = null, timeout_seconds = 600 }
    sweeper    = { people = false, concurrency = 4, memory = "1Gi", max_instances = 3, timeout_seconds = 600 }
    verifier   = { people = true, concurrency = 2, memory = "2Gi", max_instances = 2, timeout_seconds = 1800 }
  }

  # As the local stack does: a worker without a url is served by the main.py beside the module of its factory.
  workers = {
    for name in keys(try(local.pipeline.workers, {})) : name => merge(
      {
        memory    = "2Gi", cpu = "1", concurrency = 32, min_instances = 0, max_instances = null, timeout_seconds = 1800
        publishes = false, environment = {}
      },
      try(var.workers[name], {}),
    ) if try(local.pipeline.workers[name].url, null) == null
  }
  # "nba_worker.service:build" -> "nba_worker/main.py", in the folder of the pipeline file.
  worker_files = {
    for name in keys(local.workers) : name => trimprefix("${dirname(replace(
      split(":", try(local.pipeline.workers[name].factory, ""))[0], ".", "/"
    ))}/main.py", "./")
  }
  worker_services = { for name in keys(local.workers) : name => "worker-${replace(name, "_", "-")}" }

  # What Cloud Run calls the deterministic URL: known before there is a service, so that functions can be told of each other.
  urls        = { for name in keys(local.functions) : name => "https://${name}-${local.number}.${var.region}.run.app" }
  worker_urls = { for name, service in local.worker_services : name => "https://${service}-${local.number}.${var.region}.run.app" }

  # One instance more than the queues can keep busy would never be used.
  dispatches = {
    for function in distinct([for queue in values(local.queues) : queue.function]) : function => sum([
      for queue in values(local.queues) : queue.max_concurrent if queue.function == function
    ])
  }
  sizes = {
    for name, each in local.functions : name => {
      memory          = coalesce(try(var.function_sizes[name].memory, null), each.memory)
      cpu             = coalesce(try(var.function_sizes[name].cpu, null), "1")
      min_instances   = coalesce(try(var.function_sizes[name].min_instances, null), 0)
      max_instances   = coalesce(try(var.function_sizes[name].max_instances, null), each.max_instances, ceil(lookup(local.dispatches, name, 1) / each.concurrency))
      timeout_seconds = coalesce(try(var.function_sizes[name].timeout_seconds, null), each.timeout_seconds)
    }
  }

  # Every function has all of it, as CloudSettings (shared/phasegate/adapters/gcp/settings.py) reads it: a test compares the two.
  environment = {
    PHASEGATE_PROJECT          = var.project
    PHASEGATE_REGION           = var.region
    PHASEGATE_DATABASE         = var.database
    PHASEGATE_LOCATION         = local.location
    PHASEGATE_BUCKET           = local.bucket
    PHASEGATE_PIPELINE         = "/workspace/${local.pipeline_path}"
    PHASEGATE_DISPATCHER_URL   = local.urls["dispatcher"]
    PHASEGATE_RUNNER_URL       = local.urls["runner"]
    PHASEGATE_CONDUCTOR_URL    = local.urls["conductor"]
    PHASEGATE_VERIFIER_URL     = local.urls["verifier"]
    PHASEGATE_SWEEPER_URL      = local.urls["sweeper"]
    PHASEGATE_INVOKER          = local.emails["tasks"]
    PHASEGATE_CALLERS          = "" # said below, for each by itself
    PHASEGATE_AUDIENCES        = ""
    PHASEGATE_MAX_BYTES_BILLED = tostring(var.max_bytes_billed)
  }

  # Functions and workers differ in these only.
  deployed = merge(
    {
      for name, each in local.functions : name => merge(local.sizes[name], {
        target      = name
        concurrency = each.concurrency
        ingress     = each.people ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
        account     = local.emails[name]
        # Preflight, in the starter, asks the internal functions for their health, and the runner calls the workers: only
        # what comes from a network of the project may.
        in_network = contains(["starter", "runner"], name)
        # A second gate behind IAM's, through which owners and editors of the project pass. Not where people call: a
        # token does not tell who is in a group.
        environment = {
          PHASEGATE_CALLERS = each.people ? "" : join(",", [
            for who in ["tasks", "push", "scheduler"] : local.emails[who] if contains(local.does[who].calls, name)
          ])
          # What a token may be made for is what Cloud Tasks, Pub/Sub and Cloud Scheduler are told to make it for.
          PHASEGATE_AUDIENCES = local.urls[name]
        }
      })
    },
    {
      for name, each in local.workers : local.worker_services[name] => {
        target          = name
        memory          = each.memory
        cpu             = each.cpu
        min_instances   = each.min_instances
        max_instances   = coalesce(each.max_instances, local.sizes["runner"].max_instances)
        timeout_seconds = each.timeout_seconds
        concurrency     = each.concurrency
        ingress         = "ALLOW_INTERNAL_ONLY"
        account         = local.emails[local.worker_services[name]]
        in_network      = false
        environment = merge({
          "PHASEGATE_${upper(name)}_SOURCE" = "gs://${local.bucket}/source"
          PHASEGATE_WORKER_FILE             = "pipelines/${var.pipeline}/${local.worker_files[name]}"
        }, each.environment)
      }
    },
  )
}

resource "google_cloudfunctions2_function" "this" {
  #checkov:skip=CKV_GCP_124:internal for all but those that people call; no caller without run.invoker
  for_each = local.deployed

  name         = each.key
  location     = var.region
  kms_key_name = local.kms_key
  labels       = { commit = var.commit }

  build_config {
    runtime           = var.runtime
    entry_point       = each.value.target
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = "projects/${var.project}/serviceAccounts/${local.emails["build"]}"
    source {
      storage_source {
        bucket = google_storage_bucket.this["source"].name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  # No event trigger: what Pub/Sub has for a function is pushed by subscriptions of our own (events.tf), whose retries,
  # dead letters and expiry can be said and looked at.
  service_config {
    available_memory                 = each.value.memory
    available_cpu                    = each.value.cpu
    min_instance_count               = each.value.min_instances
    max_instance_count               = each.value.max_instances
    max_instance_request_concurrency = each.value.concurrency
    timeout_seconds                  = each.value.timeout_seconds
    service_account_email            = each.value.account
    ingress_settings                 = each.value.ingress
    all_traffic_on_latest_revision   = true
    environment_variables = merge(local.environment, each.value.environment, {
      # functions-framework serves as many requests at once as it has threads.
      THREADS          = tostring(each.value.concurrency)
      WORKERS          = "1"
      PHASEGATE_COMMIT = var.commit
    })

    direct_vpc_egress = each.value.in_network ? "VPC_EGRESS_ALL_TRAFFIC" : null
    dynamic "direct_vpc_network_interface" {
      for_each = each.value.in_network ? [google_compute_subnetwork.functions] : []
      content {
        network    = google_compute_network.functions.name
        subnetwork = direct_vpc_network_interface.value.name
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length("${each.key}-${local.number}") <= 63
      error_message = "The name ${each.key} is too long for the URL that Cloud Run gives it: at most ${62 - length(local.number)} characters."
    }
    precondition {
      condition     = each.value.timeout_seconds >= 1 && each.value.timeout_seconds <= 3600
      error_message = "${each.key}: a function takes 1 to 3600 seconds."
    }
  }

  depends_on = [
    google_service_account.this,
    time_sleep.settled,
  ]
}
