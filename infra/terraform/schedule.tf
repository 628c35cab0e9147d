# Cloud Scheduler: what happens although nobody asked.

locals {
  # layout.py lists the same jobs: a test compares the two.
  jobs = merge(
    {
      sweeper = { function = "sweeper", cron = "* * * * *", request = {}, paused = false }
      canary = {
        function = "starter", cron = var.canary.cron, paused = length(var.canary.dates) == 0
        request  = { dates = var.canary.dates, reprocess = "all", why = "canary" }
      }
    },
    var.kickoff.cron == "" ? {} : {
      kickoff = {
        function = "starter", cron = var.kickoff.cron, paused = false
        request  = { for key, value in var.kickoff.request : key => value if value != null }
      }
    },
  )
}

resource "google_cloud_scheduler_job" "this" {
  for_each = local.jobs

  name      = each.key
  region    = var.region
  schedule  = each.value.cron
  time_zone = "Etc/UTC"
  paused    = each.value.paused

  attempt_deadline = "180s"
  # By itself Cloud Scheduler tries nothing twice. A repeated request finds the run that the first one began.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "5s"
    max_backoff_duration = "60s"
  }

  http_target {
    http_method = "POST"
    uri         = local.urls[each.value.function]
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode(each.value.request))
    oidc_token {
      service_account_email = local.emails["scheduler"]
      audience              = local.urls[each.value.function]
    }
  }

  depends_on = [google_cloudfunctions2_function.this]
}
