# What all other files stand on: the pipeline files, names, and what the project must have enabled.

data "google_project" "this" {
  project_id = var.project
}

locals {
  labels = merge({ app = "phasegate", pipeline = replace(var.pipeline, "_", "-") }, var.labels)

  number   = data.google_project.this.number
  location = var.location == "" ? var.region : var.location
  bucket   = var.bucket == "" ? "${var.project}-phasegate" : var.bucket
  kms_key  = var.kms_key == "" ? null : var.kms_key

  # The pipeline files are the single source of truth: a phase, queue, worker, topic or table is added there and nowhere here.
  pipelines_folder = "${path.module}/${var.pipelines}"
  pipelines = {
    for file in fileset(local.pipelines_folder, "*/pipeline.yaml") :
    dirname(file) => yamldecode(file("${local.pipelines_folder}/${file}"))
  }
  # Without the pipeline that is to be served nothing else could be evaluated; checks.tf says what is wrong then.
  pipeline = try(local.pipelines[var.pipeline], { workers = {}, queues = {}, phases = [], calendar = { table = "none.none" }, history_table = "none.none" })

  phases = { for phase in local.pipeline.phases : phase.name => phase }
  observed_topics = distinct([
    for phase in local.pipeline.phases : phase.dispatch.observed.topic if can(phase.dispatch.observed.topic)
  ])

  history_table = local.pipeline.history_table
  report_table  = try(local.pipeline.report.table, null)
  # What outputs were made from: beside the history, as `Pipeline.contents_table` has it.
  contents_table = "${split(".", local.history_table)[0]}.backfill_contents"
  tables = distinct(compact(concat(
    [local.pipeline.calendar.table, local.history_table, local.report_table],
    [for source in values(try(local.pipeline.calendar.sources, {})) : source.table],
    flatten([for phase in local.pipeline.phases : [for each in phase.processors : try(each.output.table, null)]]),
  )))
  datasets = toset([for table in local.tables : split(".", table)[0]])
  # Where workers find and make their tables. The orchestrator's own may lie in one of them.
  work_datasets = toset([for table in local.tables : split(".", table)[0] if !contains(compact([local.history_table, local.report_table]), table)])
  # Where the starter makes the tables of SELECTs, and the runner fills them.
  select_datasets = toset(flatten([
    for phase in local.pipeline.phases : [for each in phase.processors : split(".", each.output.table)[0] if try(each.sql, null) != null]
  ]))
}

resource "google_project_service" "this" {
  for_each = toset(concat([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtasks.googleapis.com",
    "compute.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "storage.googleapis.com",
    ],
    var.budget.billing_account == "" ? [] : ["billingbudgets.googleapis.com"],
    var.kms_key == "" ? [] : ["cloudkms.googleapis.com"],
  ))

  service = each.key
  # Other things in the project may need it too.
  disable_on_destroy = false
}

# A right takes effect a while after it was granted, and so does a metric: a build that begins at once may be refused, and an alert.
resource "time_sleep" "settled" {
  create_duration = "90s"
  depends_on = [
    google_project_iam_member.accounts,
    google_artifact_registry_repository_iam_member.build,
    google_kms_crypto_key_iam_member.agents,
    google_logging_metric.this,
  ]
}

# Pub/Sub acts by this account where it forwards dead letters, writes into BigQuery and makes identity tokens.
resource "google_project_service_identity" "pubsub" {
  provider = google-beta

  project    = var.project
  service    = "pubsub.googleapis.com"
  depends_on = [google_project_service.this]
}

locals {
  # The same as the resource's ``email``, but known when a plan is made.
  pubsub_agent = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
