# What must hold of every deployment. Nothing is asked of Google: the providers are mocked, and nothing is applied.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project         = "demo-project"
  pipeline        = "nba"
  operators_group = "operators@example.com"
  viewers_group   = "viewers@example.com"
  alert_emails    = ["on-call@example.com"]
  canary          = { dates = ["2024-01-15"] }
  kickoff         = { cron = "0 11 * * *", request = { season = ["2024-25"] } }
  budget          = { billing_account = "000000-000000-000000" }
}

run "deployed" {
  command = plan

  # Functions.
  assert {
    condition     = length(google_cloudfunctions2_function.this) == 7 + length(local.workers)
    error_message = "There are seven functions, and a worker for each without a url."
  }
  assert {
    condition = alltrue([
      for name, each in google_cloudfunctions2_function.this :
      each.service_config[0].service_account_email == "phasegate-${name}@demo-project.iam.gserviceaccount.com"
    ])
    error_message = "Every function runs as an account of its own."
  }
  assert {
    condition = alltrue([
      for name in ["dispatcher", "runner", "listener", "conductor", "sweeper"] :
      google_cloudfunctions2_function.this[name].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    ])
    error_message = "What only Google calls is reached from inside of the project alone."
  }
  assert {
    condition = alltrue([
      for each in google_cloudfunctions2_function.this :
      each.service_config[0].environment_variables["THREADS"] == tostring(each.service_config[0].max_instance_request_concurrency)
    ])
    error_message = "An instance is sent as many requests at once as it has threads."
  }
  assert {
    condition = alltrue([
      for name, callers in { dispatcher = ["tasks"], runner = ["tasks"], conductor = ["tasks"], listener = ["push"], sweeper = ["tasks", "scheduler"] } :
      google_cloudfunctions2_function.this[name].service_config[0].environment_variables["PHASEGATE_CALLERS"] == join(",", [for who in callers : "phasegate-${who}@demo-project.iam.gserviceaccount.com"])
    ])
    error_message = "What only Google calls knows by which account."
  }
  assert {
    condition = alltrue([
      for name in keys(local.functions) :
      google_cloudfunctions2_function.this[name].service_config[0].environment_variables["PHASEGATE_AUDIENCES"] == local.urls[name]
    ])
    error_message = "A function knows the address that a caller's token is made for."
  }
  assert {
    condition = alltrue(flatten([
      [for service in values(local.worker_services) : google_cloudfunctions2_function.this[service].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"],
      length(google_cloudfunctions2_function.this["runner"].service_config[0].direct_vpc_network_interface) == 1,
    ]))
    error_message = "Workers are reached from inside of the project alone, and the runner, which calls them, is inside."
  }
  assert {
    condition     = length(google_cloudfunctions2_function.this["starter"].service_config[0].direct_vpc_network_interface) == 1
    error_message = "Preflight, in the starter, asks internal functions for their health: it needs a network of the project."
  }

  assert {
    condition = alltrue([
      for each in google_cloudfunctions2_function.this : length(setsubtract(
        [for field in regexall("(?m)^    ([a-z_]+): (?:str|int|Path)\\b", file("../../shared/phasegate/adapters/gcp/settings.py")) : "PHASEGATE_${upper(field[0])}"],
        keys(each.service_config[0].environment_variables),
      )) == 0
    ])
    error_message = "Every function has the variables that CloudSettings reads."
  }
  assert {
    condition     = length(regexall("(?m)^    ([a-z_]+): (?:str|int|Path)\\b", file("../../shared/phasegate/adapters/gcp/settings.py"))) == length(local.environment)
    error_message = "No function has a variable that CloudSettings does not read: is a name misspelt?"
  }

  # Workers write the pipeline's tables, and not what the orchestrator says about them.
  assert {
    condition = alltrue([
      for key, each in google_bigquery_dataset_iam_member.this : alltrue([
        for name, table in local.own_tables :
        strcontains(try(each.condition[0].expression, ""), "resource.name != \"projects/demo-project/datasets/${table.dataset}/tables/${name}\"") if table.dataset == each.dataset_id
      ]) if startswith(key, "worker-")
    ])
    error_message = "No worker may write the tables of history, run events and reports."
  }

  # Events.
  assert {
    condition     = length([for each in google_cloudfunctions2_function.this : each if length(each.event_trigger) > 0]) == 0
    error_message = "Events come by subscriptions of our own: those of a trigger can be given no dead letter."
  }
  assert {
    condition     = alltrue([for each in google_pubsub_subscription.this : length(each.retry_policy) == 1])
    error_message = "Every subscription retries with backoff: what a function refuses is delivered again at once otherwise."
  }
  assert {
    condition     = toset([for each in google_pubsub_subscription.this : each.push_config[0].push_endpoint if length(each.push_config) > 0]) == toset(["https://listener-123456789012.us-central1.run.app/projects/demo-project/topics/backfill-completions", "https://starter-123456789012.us-central1.run.app/projects/demo-project/topics/backfill-kickoff"])
    error_message = "Completions go to the listener, kick-offs to the starter."
  }
  assert {
    condition = alltrue([
      for each in google_pubsub_subscription.this :
      startswith(each.push_config[0].push_endpoint, each.push_config[0].oidc_token[0].audience) if length(each.push_config) > 0
    ])
    error_message = "A push carries an identity token for the function that it is sent to."
  }
  assert {
    condition     = alltrue([for each in google_pubsub_subscription.this : length(each.expiration_policy) == 1 && each.expiration_policy[0].ttl == ""])
    error_message = "No subscription expires."
  }
  assert {
    condition     = alltrue([for name, each in google_pubsub_subscription.this : length(each.dead_letter_policy) == 1 || endswith(name, "-dead")])
    error_message = "Every subscription has a dead-letter topic, but for those that keep dead letters."
  }
  assert {
    condition = alltrue(flatten([
      for each in google_pubsub_subscription.this : [
        for policy in each.dead_letter_policy :
        contains([for other in google_pubsub_subscription.this : other.topic], policy.dead_letter_topic) &&
        policy.max_delivery_attempts >= 5 && policy.max_delivery_attempts <= 100
      ]
    ]))
    error_message = "What is put on a dead-letter topic is kept by a subscription, after 5 to 100 deliveries."
  }
  assert {
    condition     = alltrue([for each in google_pubsub_subscription.this : each.ack_deadline_seconds == 600])
    error_message = "A function has ten minutes for a message."
  }
  assert {
    condition = alltrue([
      for name, each in google_pubsub_subscription.this : anytrue([
        for key, member in google_pubsub_subscription_iam_member.dead_letters :
        key == name && member.role == "roles/pubsub.subscriber" && strcontains(member.member, "@gcp-sa-pubsub.")
      ]) if length(each.dead_letter_policy) == 1
    ])
    error_message = "Pub/Sub may take messages off the subscriptions whose dead letters it forwards."
  }
  assert {
    condition = alltrue(flatten([
      for each in google_pubsub_subscription.this : [
        for policy in each.dead_letter_policy :
        contains([for member in google_pubsub_topic_iam_member.dead_letters : "projects/demo-project/topics/${member.topic}" if member.role == "roles/pubsub.publisher" && strcontains(member.member, "gcp-sa-pubsub")], policy.dead_letter_topic)
      ]
    ]))
    error_message = "Pub/Sub may publish on the dead-letter topics."
  }
  assert {
    condition     = length([for each in google_pubsub_subscription.this : each if length(each.bigquery_config) > 0]) == 1
    error_message = "Run events are written into a table."
  }

  # Queues: the pipeline files say the limits.
  assert {
    condition = alltrue(flatten([
      for file in fileset("../../pipelines", "*/pipeline.yaml") : [
        for name, spec in yamldecode(file("../../pipelines/${file}")).queues :
        google_cloud_tasks_queue.this[name].rate_limits[0].max_dispatches_per_second == spec.max_per_second &&
        google_cloud_tasks_queue.this[name].rate_limits[0].max_concurrent_dispatches == spec.max_concurrent
      ]
    ]))
    error_message = "Every queue has the limits of its pipeline file."
  }
  assert {
    condition     = google_cloud_tasks_queue.this["conductor"].rate_limits[0].max_concurrent_dispatches == 1
    error_message = "Two conductors at once would lose each other's commits."
  }
  assert {
    condition     = alltrue([for each in google_cloud_tasks_queue.this : each.retry_config[0].max_attempts == -1 && each.retry_config[0].max_doublings == 16])
    error_message = "Queues deliver without end: attempts are counted by Phasegate alone."
  }
  assert {
    condition     = google_cloud_tasks_queue.this["raw"].retry_config[0].min_backoff == "0.100s" && google_cloud_tasks_queue.this["raw"].retry_config[0].max_backoff == "60s"
    error_message = "Backoff is written as Cloud Tasks gives it back."
  }

  # Schedule.
  assert {
    condition     = google_cloud_scheduler_job.this["sweeper"].schedule == "* * * * *" && !google_cloud_scheduler_job.this["sweeper"].paused
    error_message = "The sweeper is called every minute."
  }
  assert {
    condition     = alltrue([for each in google_cloud_scheduler_job.this : each.retry_config[0].retry_count > 0])
    error_message = "Every job retries: by itself Cloud Scheduler tries once."
  }
  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.this["canary"].http_target[0].body)).dates == ["2024-01-15"] && !google_cloud_scheduler_job.this["canary"].paused
    error_message = "The canary takes its dates through the pipeline."
  }

  # State, tables, objects.
  assert {
    condition     = length([for each in google_firestore_field.this : each if length(each.index_config) == 1]) == length(jsondecode(file("../firestore.indexes.json")).fieldOverrides)
    error_message = "Firestore's exemptions are those of infra/firestore.indexes.json."
  }
  assert {
    condition     = length(google_firestore_field.this["dates.tasks"].index_config[0].indexes) == 0 && length(google_firestore_field.this["board.status"].index_config[0].indexes) == 1
    error_message = "Facts are not indexed; the status of boards is, over all runs."
  }
  assert {
    condition     = length(google_firestore_field.this["leases.until"].ttl_config) == 1 && length(google_firestore_field.this["attempts.lease_until"].ttl_config) == 1 && length(google_firestore_field.this["forgotten.at"].ttl_config) == 1
    error_message = "Leases and claims that ran out, and the names of forgotten runs, are deleted."
  }
  assert {
    condition     = google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED" && google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED" && length(google_firestore_backup_schedule.daily) == 1
    error_message = "State can be recovered, and is not deleted by mistake."
  }
  assert {
    condition = alltrue([
      for each in google_storage_bucket.this :
      each.uniform_bucket_level_access && each.public_access_prevention == "enforced" && each.versioning[0].enabled && length(each.lifecycle_rule) > 0
    ])
    error_message = "Buckets have uniform access, are never public, keep versions, and not for ever."
  }

  # One region.
  assert {
    condition = toset(concat(
      [for each in google_cloudfunctions2_function.this : each.location],
      [for each in google_cloud_tasks_queue.this : each.location],
      [for each in google_cloud_scheduler_job.this : each.region],
      [for each in google_storage_bucket.this : lower(each.location)],
      [for each in google_bigquery_dataset.this : each.location],
      flatten([for each in google_pubsub_topic.this : [for policy in each.message_storage_policy : tolist(policy.allowed_persistence_regions)]]),
      [google_firestore_database.this.location_id, google_compute_subnetwork.functions.region, google_artifact_registry_repository.images.location],
    )) == toset(["us-central1"])
    error_message = "Everything is in one region."
  }

  # Who may do what.
  assert {
    condition = length(setintersection(["allUsers", "allAuthenticatedUsers"], concat(
      [for each in google_cloud_run_v2_service_iam_member.invoker : each.member],
      [for each in google_cloudfunctions2_function_iam_member.operators : each.member],
      [for each in google_storage_bucket_iam_member.this : each.member],
      [for each in google_pubsub_topic_iam_member.publisher : each.member],
      [for each in google_bigquery_dataset_iam_member.this : each.member],
      [for each in google_project_iam_member.accounts : each.member],
    ))) == 0
    error_message = "Nobody may call, read or publish without being named."
  }
  assert {
    condition = toset([for each in google_project_iam_member.accounts : each.role]) == toset([
      "roles/bigquery.jobUser", "roles/bigquery.resourceViewer", "roles/datastore.user", "roles/logging.logWriter",
      "roles/logging.viewer", "roles/monitoring.viewer", "roles/storage.objectViewer",
    ])
    error_message = "On the project are granted only what Google grants nowhere else; add a role here and in docs/security.md together."
  }
  assert {
    condition     = alltrue([for each in google_project_iam_member.accounts : length(each.condition) == 1 if contains(["roles/datastore.user", "roles/storage.objectViewer"], each.role)])
    error_message = "Rights on state and on sources are narrowed by a condition."
  }
  assert {
    condition = toset(keys(google_cloud_run_v2_service_iam_member.invoker)) == toset([
      "operators/starter", "operators/verifier", "push/listener", "push/starter", "scheduler/starter", "scheduler/sweeper",
      "tasks/conductor", "tasks/dispatcher", "tasks/runner", "tasks/sweeper", "tasks/verifier", "runner/worker-nba", "starter/worker-nba",
      "starter/starter", "starter/dispatcher", "starter/runner", "starter/listener", "starter/conductor", "starter/sweeper", "starter/verifier",
    ])
    error_message = "Functions are called by who must call them; the starter asks all of them for their health."
  }
  assert {
    condition = toset(keys(google_service_account_iam_member.acts_as_tasks)) == toset([
      "starter", "dispatcher", "listener", "conductor", "sweeper", "operators",
    ])
    error_message = "Who puts tasks on a queue may act as their account, and nobody else."
  }

  # What is told.
  assert {
    condition = length(setsubtract(
      concat(
        ["dead-letters/backfill-completions-dead", "dead-letters/backfill-kickoff-dead", "unacked/backfill-completions", "unacked/backfill-kickoff"],
        ["sweeper-silent", "run-halted", "processor-braked", "run-unreadable", "runs-unswept", "set-aside", "callers-refused"],
        [for phase in local.pipeline.phases : "phase/${phase.name}"],
        [for name in keys(local.pipeline.queues) : "queue/${name}"],
      ),
      keys(google_monitoring_alert_policy.this),
    )) == 0
    error_message = "An alert is missing."
  }
  assert {
    condition = alltrue([
      for name in ["run-unreadable", "set-aside", "callers-refused"] :
      google_monitoring_alert_policy.this[name].conditions[0].condition_threshold[0].threshold_value == 0
    ])
    error_message = "What should never be is told at the first."
  }
  assert {
    condition = alltrue([
      for each in google_monitoring_alert_policy.this :
      1 == length(each.conditions[0].condition_threshold) + length(each.conditions[0].condition_absent) + length(each.conditions[0].condition_prometheus_query_language)
    ])
    error_message = "An alert has one condition."
  }
  assert {
    condition     = length(google_billing_budget.this) == 1 && length(google_monitoring_notification_channel.email) == 1
    error_message = "The budget has a channel."
  }
}
