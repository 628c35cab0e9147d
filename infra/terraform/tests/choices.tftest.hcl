# What may be chosen, and what is refused before anything is made.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project  = "demo-project"
  pipeline = "nba"
}

run "an_observed_topic_is_heard_and_not_made" {
  command = plan
  variables {
    pipelines = "tests/fixtures/observed"
    pipeline  = "live"
  }
  assert {
    condition     = google_pubsub_subscription.this["phasegate-live-complete"].topic == "projects/demo-project/topics/live-complete" && !contains(keys(google_pubsub_topic.this), "live-complete")
    error_message = "Its topic is the existing system's; ours is the subscription beside the others."
  }
  assert {
    condition     = google_cloud_tasks_queue.this["slow_outer_api"].name == "slow-outer-api" && google_cloud_tasks_queue.this["slow_outer_api"].rate_limits[0].max_concurrent_dispatches == 100
    error_message = "A queue has the id and the defaults that the code gives it."
  }
  assert {
    condition     = length(google_compute_router_nat.functions) == 1 && length(google_service_account.this) == 7 + 4
    error_message = "A worker elsewhere is reached through a gateway, and has no account here."
  }
  assert {
    condition     = toset(keys(google_bigquery_table.own)) == toset(["attempts", "backfill_contents", "backfill_events", "reports"]) && toset(keys(google_bigquery_dataset.this)) == toset(["live_raw", "live_reports"])
    error_message = "Datasets and own tables are those that the pipeline names."
  }
}

run "nothing_optional" {
  command = plan
  variables {
    backups             = { point_in_time_recovery = false, daily_days = 0 }
    deletion_protection = false
    existing_datasets   = ["nba_raw"]
  }
  assert {
    condition     = length(google_firestore_backup_schedule.daily) == 0 && length(google_billing_budget.this) == 0 && !contains(keys(google_bigquery_dataset.this), "nba_raw")
    error_message = "What was not asked for is not made."
  }
  assert {
    condition     = google_cloud_scheduler_job.this["canary"].paused && !contains(keys(google_cloud_scheduler_job.this), "kickoff")
    error_message = "A canary without dates rests; nobody is asked for runs by a clock."
  }
  assert {
    condition     = alltrue([for each in google_project_iam_member.accounts : startswith(each.member, "serviceAccount:")])
    error_message = "No group was named, and none has rights."
  }
}

run "a_key_of_ones_own_covers_what_keeps_data" {
  command = plan
  variables {
    kms_key = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
  }
  assert {
    condition = alltrue(concat(
      [for each in google_pubsub_topic.this : each.kms_key_name == var.kms_key],
      [for each in google_storage_bucket.this : each.encryption[0].default_kms_key_name == var.kms_key],
      [for each in google_bigquery_dataset.this : each.default_encryption_configuration[0].kms_key_name == var.kms_key],
      [google_firestore_database.this.cmek_config[0].kms_key_name == var.kms_key],
    ))
    error_message = "Topics, buckets, tables and state are under the key."
  }
}

run "a_function_too_small_for_its_queues_is_seen" {
  command = plan
  variables {
    function_sizes = { runner = { max_instances = 1 } }
  }
  expect_failures = [check.functions_keep_up_with_their_queues]
}

run "a_queue_faster_than_cloud_tasks_is_refused" {
  command = plan
  variables {
    pipelines = "tests/fixtures/too-fast"
    pipeline  = "quick"
  }
  expect_failures = [google_cloud_tasks_queue.this]
}

run "two_pipelines_that_share_a_queue_are_refused" {
  command = plan
  variables {
    pipelines = "tests/fixtures/shared-queue"
    pipeline  = "first"
  }
  expect_failures = [google_cloud_tasks_queue.this]
}

run "a_queue_with_a_reserved_name_is_refused" {
  command = plan
  variables {
    pipelines = "tests/fixtures/reserved"
    pipeline  = "ours"
  }
  expect_failures = [google_cloud_tasks_queue.this]
}

run "a_name_too_long_for_a_service_account_is_refused" {
  command = plan
  variables {
    pipelines = "tests/fixtures/long-name"
    pipeline  = "wordy"
  }
  expect_failures = [google_service_account.this, terraform_data.sound]
}

run "names_that_mean_nothing_are_refused" {
  command = plan
  variables {
    pipeline       = "nbb"
    function_sizes = { runnr = { max_instances = 1 } }
  }
  expect_failures = [terraform_data.sound]
}

run "a_mix_of_regions_is_refused" {
  command = plan
  variables {
    location = "EU"
  }
  expect_failures = [var.location]
}

run "a_key_of_another_region_is_refused" {
  command = plan
  variables {
    kms_key = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
  }
  expect_failures = [var.kms_key]
}

run "values_that_google_does_not_take_are_refused" {
  command = plan
  variables {
    project         = "Demo"
    region          = "us-central1-a"
    operators_group = "group:operators"
    backups         = { daily_days = 1000 }
    commit          = "a commit"
    database        = "x"
    runtime         = "python39"
  }
  expect_failures = [var.project, var.region, var.operators_group, var.backups, var.commit, var.database, var.runtime]
}
