# Who may do what. docs/security.md says why; a test compares its table with this file.
# Roles are given on the resource; on the project only where Google knows no smaller place, and with a condition where it takes one.

locals {
  accounts = merge(
    { for name in keys(local.functions) : name => "The function ${name}." },
    { for name, service in local.worker_services : service => "The worker ${name}." },
    {
      tasks     = "Cloud Tasks calls functions as this account."
      push      = "Pub/Sub pushes to functions as this account."
      scheduler = "Cloud Scheduler calls functions as this account."
      build     = "Builds the images of the functions."
    },
  )
  account_ids = { for name in keys(local.accounts) : name => "${var.service_account_prefix}-${name}" }
  # Written out, because a plan must be able to show who gets what before there are any accounts.
  emails = { for name, id in local.account_ids : name => "${id}@${var.project}.iam.gserviceaccount.com" }

  groups = merge(
    var.operators_group == "" ? {} : { operators = "group:${var.operators_group}" },
    var.viewers_group == "" ? {} : { viewers = "group:${var.viewers_group}" },
  )
  members = merge({ for name, email in local.emails : name => "serviceAccount:${email}" }, local.groups)

  work    = sort(keys(local.work_queues))
  started = sort(keys(local.functions))

  # The typed map of what each does. queues: puts tasks on them. calls: functions and workers. reads: datasets and jobs.
  # writes: tables. objects: the role on the bucket. inspects: preflight looks at queues, topics, subscriptions and quotas.
  does = {
    starter    = { queues = ["conductor"], publishes = [], calls = concat(local.started, values(local.worker_services)), state = true, reads = true, writes = [], objects = "viewer", inspects = true }
    dispatcher = { queues = concat(["conductor"], local.work), publishes = [], calls = [], state = true, reads = false, writes = [], objects = "", inspects = false }
    runner     = { queues = [], publishes = ["backfill-completions"], calls = values(local.worker_services), state = true, reads = length(local.select_datasets) > 0, writes = [], objects = "", inspects = false }
    listener   = { queues = concat(["conductor"], local.work), publishes = [], calls = [], state = true, reads = false, writes = [], objects = "", inspects = false }
    conductor  = { queues = ["conductor", "dispatch", "verify"], publishes = [], calls = [], state = true, reads = true, writes = [local.history_table, local.contents_table], objects = "viewer", inspects = false }
    sweeper    = { queues = concat(["conductor", "sweep"], local.work), publishes = [], calls = [], state = true, reads = true, writes = [], objects = "viewer", inspects = false }
    verifier   = { queues = [], publishes = [], calls = [], state = true, reads = true, writes = compact([local.report_table]), objects = "user", inspects = false }

    tasks     = { queues = [], publishes = [], calls = distinct([for queue in values(local.queues) : queue.function]), state = false, reads = false, writes = [], objects = "", inspects = false }
    push      = { queues = [], publishes = [], calls = distinct([for each in values(local.pushed) : each.function]), state = false, reads = false, writes = [], objects = "", inspects = false }
    scheduler = { queues = [], publishes = [], calls = distinct([for job in values(local.jobs) : job.function]), state = false, reads = false, writes = [], objects = "", inspects = false }

    # People at the command line do what starter, conductor's callers and verifier do, as themselves.
    operators = { queues = concat(["conductor", "dispatch", "verify"], local.work), publishes = ["backfill-kickoff"], calls = ["starter", "verifier"], state = true, reads = true, writes = compact([local.report_table]), objects = "user", inspects = true }
    viewers   = { queues = [], publishes = [], calls = [], state = false, reads = true, writes = [], objects = "viewer", inspects = false }
  }
  doing = { for who, what in local.does : who => what if contains(keys(local.members), who) }

  # who/what, so that a key says what it grants.
  calls    = { for pair in flatten([for who, what in local.doing : [for each in what.calls : { who = who, on = each }]]) : "${pair.who}/${pair.on}" => pair }
  enqueues = { for pair in flatten([for who, what in local.doing : [for each in distinct(what.queues) : { who = who, on = each }]]) : "${pair.who}/${pair.on}" => pair }
  publishes = {
    for pair in flatten([
      [for who, what in local.doing : [for each in what.publishes : { who = who, on = each }]],
      [for name, each in local.workers : { who = local.worker_services[name], on = "backfill-completions" } if each.publishes],
    ]) : "${pair.who}/${pair.on}" => pair
  }
  inspectors = [for who, what in local.doing : who if what.inspects]

  # Workers edit every table of a dataset but those in which the orchestrator keeps what it found.
  not_ours = {
    for dataset in local.work_datasets : dataset => join(" && ", [
      for name, table in local.own_tables : "resource.name != \"projects/${var.project}/datasets/${dataset}/tables/${name}\"" if table.dataset == dataset
    ])
  }
  dataset_roles = {
    for grant in flatten([
      [for dataset in local.datasets : [for who, what in local.doing : { who = who, on = dataset, role = "roles/bigquery.dataViewer", condition = "" } if what.reads]],
      [for dataset in local.work_datasets : [for service in values(local.worker_services) : { who = service, on = dataset, role = "roles/bigquery.dataEditor", condition = local.not_ours[dataset] }]],
      [for dataset in local.select_datasets : [for who in ["starter", "runner"] : { who = who, on = dataset, role = "roles/bigquery.dataEditor", condition = local.not_ours[dataset] }]],
    ]) : "${grant.who}/${grant.on}${grant.role == "roles/bigquery.dataEditor" && contains(["starter", "runner"], grant.who) ? "/writes" : ""}" => grant
  }
  table_roles = merge(
    { for pair in flatten([for who, what in local.doing : [for table in what.writes : { who = who, on = table }]]) : "${pair.who}/${pair.on}" => { member = local.members[pair.who], table = pair.on } },
    { for name, each in local.subscriptions : "pubsub/${each.table}" => { member = local.pubsub_agent, table = "${local.own_dataset}.${each.table}" } if each.table != null },
  )
  bucket_roles = merge(
    { for who, what in local.doing : who => { on = "objects", role = what.objects == "user" ? "roles/storage.objectUser" : "roles/storage.objectViewer" } if what.objects != "" },
    { for service in values(local.worker_services) : service => { on = "objects", role = "roles/storage.objectUser" } },
  )

  # Google takes a condition on the database's name; the others have no smaller place than the project.
  this_database  = "resource.name == \"projects/${var.project}/databases/${var.database}\" || resource.name.startsWith(\"projects/${var.project}/databases/${var.database}/\")"
  builders_place = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-\")"
  project_roles = merge(
    { for who, what in local.doing : "${who}/datastore.user" => { who = who, role = "roles/datastore.user", condition = local.this_database } if what.state },
    { for who, what in local.doing : "${who}/bigquery.jobUser" => { who = who, role = "roles/bigquery.jobUser", condition = null } if what.reads || length(what.writes) > 0 },
    { for service in values(local.worker_services) : "${service}/bigquery.jobUser" => { who = service, role = "roles/bigquery.jobUser", condition = null } },
    { for who in local.inspectors : "${who}/bigquery.resourceViewer" => { who = who, role = "roles/bigquery.resourceViewer", condition = null } },
    { for who in keys(local.groups) : "${who}/monitoring.viewer" => { who = who, role = "roles/monitoring.viewer", condition = null } },
    { for who in keys(local.groups) : "${who}/logging.viewer" => { who = who, role = "roles/logging.viewer", condition = null } },
    {
      "build/logging.logWriter"    = { who = "build", role = "roles/logging.logWriter", condition = null }
      "build/storage.objectViewer" = { who = "build", role = "roles/storage.objectViewer", condition = local.builders_place }
    },
  )
}

resource "google_service_account" "this" {
  for_each = local.account_ids

  account_id  = each.value
  description = local.accounts[each.key]
  depends_on  = [google_project_service.this]

  lifecycle {
    precondition {
      condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", each.value))
      error_message = "${each.value} is no id for a service account, which has 6 to 30 lower-case letters, digits and hyphens: choose a shorter name for the worker, or another service_account_prefix."
    }
  }
}

# Functions: only who is named here may call them; nobody may without a right.

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.calls

  name     = google_cloudfunctions2_function.this[each.value.on].name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.members[each.value.who]
}

# `gcloud functions call` looks the function up first.
resource "google_cloudfunctions2_function_iam_member" "operators" {
  for_each = { for key, pair in local.calls : key => pair if pair.who == "operators" }

  cloud_function = google_cloudfunctions2_function.this[each.value.on].name
  location       = var.region
  role           = "roles/cloudfunctions.viewer"
  member         = local.members[each.value.who]
}

# Queues.

resource "google_cloud_tasks_queue_iam_member" "enqueuer" {
  for_each = local.enqueues

  name       = google_cloud_tasks_queue.this[each.value.on].name
  location   = var.region
  role       = "roles/cloudtasks.enqueuer"
  member     = local.members[each.value.who]
  depends_on = [google_service_account.this]
}

resource "google_cloud_tasks_queue_iam_member" "viewer" {
  for_each = { for pair in setproduct(local.inspectors, keys(local.queues)) : "${pair[0]}/${pair[1]}" => pair }

  name       = google_cloud_tasks_queue.this[each.value[1]].name
  location   = var.region
  role       = "roles/cloudtasks.viewer"
  member     = local.members[each.value[0]]
  depends_on = [google_service_account.this]
}

# Who creates a task that carries an identity token must be allowed to act as its account.
resource "google_service_account_iam_member" "acts_as_tasks" {
  for_each = toset([for who, what in local.doing : who if length(what.queues) > 0])

  service_account_id = "projects/${var.project}/serviceAccounts/${local.emails["tasks"]}"
  role               = "roles/iam.serviceAccountUser"
  member             = local.members[each.key]
  depends_on         = [google_service_account.this]
}

resource "google_service_account_iam_member" "pubsub_makes_tokens" {
  service_account_id = "projects/${var.project}/serviceAccounts/${local.emails["push"]}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
  depends_on         = [google_service_account.this, google_project_service_identity.pubsub]
}

# Topics and subscriptions.

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishes

  topic      = google_pubsub_topic.this[each.value.on].name
  role       = "roles/pubsub.publisher"
  member     = local.members[each.value.who]
  depends_on = [google_service_account.this]
}

# Without these two Pub/Sub forwards no dead letter, and says so nowhere.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  for_each = toset(values(local.dead_letters))

  topic      = google_pubsub_topic.this[each.key].name
  role       = "roles/pubsub.publisher"
  member     = local.pubsub_agent
  depends_on = [google_project_service_identity.pubsub]
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = local.dead_letters

  subscription = google_pubsub_subscription.this[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
  depends_on   = [google_project_service_identity.pubsub]
}

resource "google_pubsub_topic_iam_member" "viewer" {
  for_each = { for pair in setproduct(local.inspectors, keys(local.topic_ids)) : "${pair[0]}/${pair[1]}" => pair }

  topic      = local.topic_ids[each.value[1]]
  role       = "roles/pubsub.viewer"
  member     = local.members[each.value[0]]
  depends_on = [google_service_account.this, google_pubsub_topic.this]
}

resource "google_pubsub_subscription_iam_member" "viewer" {
  for_each = { for pair in setproduct(local.inspectors, keys(local.subscriptions)) : "${pair[0]}/${pair[1]}" => pair }

  subscription = google_pubsub_subscription.this[each.value[1]].name
  role         = "roles/pubsub.viewer"
  member       = local.members[each.value[0]]
}

# Dead letters are read and set aside by people.
resource "google_pubsub_subscription_iam_member" "reads_dead_letters" {
  for_each = contains(keys(local.groups), "operators") ? toset(values(local.dead_letters)) : []

  subscription = google_pubsub_subscription.this[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.groups["operators"]
}

# Tables and objects.

resource "google_bigquery_dataset_iam_member" "this" {
  for_each = local.dataset_roles

  dataset_id = each.value.on
  role       = each.value.role
  member     = local.members[each.value.who]

  dynamic "condition" {
    for_each = compact([each.value.condition])
    content {
      title      = "not-the-orchestrators-own-tables"
      expression = condition.value
    }
  }
  depends_on = [google_service_account.this, google_bigquery_dataset.this]
}

resource "google_bigquery_table_iam_member" "this" {
  for_each = local.table_roles

  dataset_id = split(".", each.value.table)[0]
  table_id   = google_bigquery_table.own[split(".", each.value.table)[1]].table_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
  depends_on = [google_service_account.this, google_project_service_identity.pubsub]
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = local.bucket_roles

  bucket     = google_storage_bucket.this[each.value.on].name
  role       = each.value.role
  member     = local.members[each.key]
  depends_on = [google_service_account.this]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = local.members["build"]
  depends_on = [google_service_account.this]
}

# The project.

resource "google_project_iam_member" "accounts" {
  for_each = local.project_roles

  project = var.project
  role    = each.value.role
  member  = local.members[each.value.who]

  dynamic "condition" {
    for_each = each.value.condition[*]
    content {
      title      = "only-what-is-phasegates"
      expression = condition.value
    }
  }
  depends_on = [google_service_account.this]
}
