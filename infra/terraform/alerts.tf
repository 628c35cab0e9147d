# What is told to people: metrics out of log lines, alert policies, the dashboard.

locals {
  ours = "resource.type = \"cloud_run_revision\""

  # Log lines that the code really writes: tests/infra/test_log_lines.py holds both together.
  log_metrics = {
    "phasegate/halted" = {
      about = "Runs that halted.", labels = { run_id = "EXTRACT(jsonPayload.run_id)" }
      lines = "resource.labels.service_name = \"conductor\" AND jsonPayload.message =~ \"^the run is halted: \""
    }
    "phasegate/braked" = {
      about = "Processors that are started no more.", labels = { processor = "REGEXP_EXTRACT(jsonPayload.message, \"^([^ ]+) is started no more: \")" }
      lines = "resource.labels.service_name = \"conductor\" AND jsonPayload.message =~ \" is started no more: \""
    }
    "phasegate/failed_tasks" = {
      about = "Tasks whose worker ended with a failure.", labels = { phase = "EXTRACT(jsonPayload.phase)" }
      lines = "resource.labels.service_name = \"runner\" AND jsonPayload.message =~ \"^the worker ended: failed \""
    }
    "phasegate/set_aside" = {
      about = "Events and requests that were put into quarantine.", labels = {}
      lines = "jsonPayload.message =~ \"^set aside as \""
    }
    "phasegate/unreadable_runs" = {
      about = "Unfinished runs that the deployed version cannot read.", labels = { run_id = "REGEXP_EXTRACT(jsonPayload.message, \"^run ([^ ]+) cannot be read: \")" }
      lines = "resource.labels.service_name = \"sweeper\" AND jsonPayload.message =~ \"^run [^ ]+ cannot be read: \""
    }
    "phasegate/unswept_runs" = {
      about = "Sweeps of one run that failed.", labels = { run_id = "REGEXP_EXTRACT(jsonPayload.message, \"^run ([^ ]+) was not swept\")" }
      lines = "resource.labels.service_name = \"sweeper\" AND jsonPayload.message =~ \"^run [^ ]+ was not swept\""
    }
    # Cloud Run's own log: a request that it refuses reaches no function, and is not in its metric of requests. Where
    # anybody can knock (the others), strangers do.
    "phasegate/refused_calls" = {
      about = "Requests of callers without the right to call.", labels = {}
      lines = "log_id(\"run.googleapis.com/requests\") AND httpRequest.status = 403 AND resource.labels.service_name = (${join(" OR ", [for name, each in local.deployed : "\"${name}\"" if each.ingress == "ALLOW_INTERNAL_ONLY"])})"
    }
  }

  # An alert has one of: above (metric, reduced, over a threshold), absent (no data), query (PromQL).
  none = { filter = null, above = null, aligner = null, window = "600s", lasts = "0s", absent = null, query = null }
  metric_of = {
    for name in keys(local.log_metrics) : name => "metric.type = \"logging.googleapis.com/user/${name}\" AND ${local.ours}"
  }
  of_subscription = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription"

  alerts = merge(
    {
      for name in toset(values(local.dead_letters)) : "dead-letters/${name}" => merge(local.none, {
        title  = "Dead letters in ${name}", severity = "ERROR", above = 0, aligner = "ALIGN_MAX"
        filter = "${local.of_subscription}/num_undelivered_messages\" AND resource.labels.subscription_id = \"${name}\""
        advice = "Look at them: `gcloud pubsub subscriptions pull ${name} --limit 10`. Mend the cause, publish them again on the topic in their attribute, then acknowledge."
      })
    },
    {
      for name, each in local.subscriptions : "unacked/${name}" => merge(local.none, {
        title  = "Messages of ${name} wait", severity = "WARNING", above = 600, aligner = "ALIGN_MAX", lasts = "300s"
        filter = "${local.of_subscription}/oldest_unacked_message_age\" AND resource.labels.subscription_id = \"${name}\""
        advice = "Its oldest message is older than ten minutes. See the log of ${coalesce(each.function, "Pub/Sub's BigQuery subscription")}; `phasegate preflight` walks the whole way."
      }) if each.dead_letter != null
    },
    {
      # Cloud Monitoring misses only what it has seen once: that there was a first sweep is seen by the smoke test.
      "sweeper-silent" = merge(local.none, {
        title  = "The sweeper is silent", severity = "CRITICAL", absent = "600s", aligner = "ALIGN_DELTA", window = "60s"
        filter = "${local.ours} AND metric.type = \"run.googleapis.com/request_count\" AND resource.labels.service_name = \"sweeper\" AND metric.labels.response_code_class = \"2xx\""
        advice = "No sweep has succeeded for ten minutes: nothing is healed. See the job: `gcloud scheduler jobs describe sweeper --location ${var.region}`, and the log of the sweeper."
      })
      "run-halted" = merge(local.none, {
        title  = "A run halted", severity = "ERROR", above = 0, aligner = "ALIGN_DELTA", filter = local.metric_of["phasegate/halted"]
        advice = "More failed than its pipeline tolerates. `phasegate --backend gcp explain RUN` says what, and what mends it."
      })
      "processor-braked" = merge(local.none, {
        title  = "A processor is started no more", severity = "ERROR", above = 0, aligner = "ALIGN_DELTA", filter = local.metric_of["phasegate/braked"]
        advice = "It failed alike on too many dates. `phasegate --backend gcp failures RUN`; mend it, then `phasegate --backend gcp retry RUN --processor NAME`."
      })
      "run-unreadable" = merge(local.none, {
        title  = "A run cannot be read", severity = "ERROR", above = 0, aligner = "ALIGN_DELTA", filter = local.metric_of["phasegate/unreadable_runs"]
        advice = "Another version has written it, as a deployment that is rolled back leaves behind: nothing of it goes on, every other run does. `phasegate --backend gcp runs` says why. Deploy the version that made it, or cancel it with that version."
      })
      "runs-unswept" = merge(local.none, {
        title  = "Runs are not swept", severity = "ERROR", above = 5, aligner = "ALIGN_DELTA", filter = local.metric_of["phasegate/unswept_runs"]
        advice = "More than five sweeps failed within ten minutes: nothing of these runs is healed. The log of the sweeper says why; the next minute tries again."
      })
      "set-aside" = merge(local.none, {
        title  = "Events were set aside", severity = "WARNING", above = 0, aligner = "ALIGN_DELTA", filter = local.metric_of["phasegate/set_aside"]
        advice = "What could not be applied is kept in Firestore's collection quarantine, with the reason."
      })
      # A deployment by hand can take the rights of who calls away (gcloud strips run.invoker).
      "callers-refused" = merge(local.none, {
        title  = "Functions refuse their callers", severity = "CRITICAL", above = 0, aligner = "ALIGN_DELTA", filter = local.metric_of["phasegate/refused_calls"]
        advice = "Somebody without run.invoker called. If it is Cloud Tasks, Pub/Sub or Cloud Scheduler, apply the deployment again: it grants them what they need."
      })
    },
    {
      for name in keys(local.phases) : "phase/${name}" => merge(local.none, {
        title  = "Tasks of ${name} fail", severity = "WARNING", above = var.failed_tasks_alert, aligner = "ALIGN_DELTA"
        filter = "${local.metric_of["phasegate/failed_tasks"]} AND metric.labels.phase = \"${name}\""
        advice = "More than ${var.failed_tasks_alert} within ten minutes. `phasegate --backend gcp failures RUN` groups them by signature."
      })
    },
    {
      for name, id in local.queue_id : "queue/${name}" => merge(local.none, {
        title  = "The queue ${id} stands still", severity = "ERROR", window = "0s"
        advice = "Tasks wait, and none was delivered for half an hour. Is it paused? `gcloud tasks queues describe ${id} --location ${var.region}`"
        query  = <<-PROMQL
          (min_over_time(cloudtasks_googleapis_com:queue_depth{monitored_resource="cloud_tasks_queue", queue_id="${id}"}[30m]) > 0)
          unless on (queue_id)
          (sum by (queue_id) (increase(cloudtasks_googleapis_com:queue_task_attempt_count{monitored_resource="cloud_tasks_queue", queue_id="${id}"}[30m])) > 0)
        PROMQL
      })
    },
  )
}

resource "google_logging_metric" "this" {
  for_each = local.log_metrics

  name             = each.key
  description      = each.value.about
  filter           = "${local.ours} AND ${each.value.lines}"
  label_extractors = each.value.labels

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
  depends_on = [google_project_service.this]
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  display_name = "phasegate ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  display_name          = "Phasegate: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  user_labels           = { alert = replace(split("/", each.key)[0], "_", "-") }
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = each.value.title

    dynamic "condition_threshold" {
      for_each = each.value.above[*]
      content {
        filter          = each.value.filter
        comparison      = "COMPARISON_GT"
        threshold_value = condition_threshold.value
        duration        = each.value.lasts
        aggregations {
          alignment_period     = each.value.window
          per_series_aligner   = each.value.aligner
          cross_series_reducer = "REDUCE_SUM"
        }
      }
    }

    dynamic "condition_absent" {
      for_each = each.value.absent[*]
      content {
        filter   = each.value.filter
        duration = condition_absent.value
        aggregations {
          alignment_period     = each.value.window
          per_series_aligner   = each.value.aligner
          cross_series_reducer = "REDUCE_SUM"
        }
      }
    }

    dynamic "condition_prometheus_query_language" {
      for_each = each.value.query[*]
      content {
        query               = trimspace(condition_prometheus_query_language.value)
        duration            = each.value.lasts
        evaluation_interval = "60s"
        # A project in which no task was ever made has no such metric yet.
        disable_metric_validation = true
      }
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "86400s"
  }

  # An alert on a metric that does not exist yet is refused.
  depends_on = [time_sleep.settled, google_cloudfunctions2_function.this]
}

locals {
  # title -> (filter, aligner, group by)
  charts = [
    { title = "Completions published", filter = "resource.type = \"pubsub_topic\" AND metric.type = \"pubsub.googleapis.com/topic/send_request_count\" AND resource.labels.topic_id = \"backfill-completions\"", aligner = "ALIGN_RATE", by = [] },
    { title = "Tasks in the queues", filter = "resource.type = \"cloud_tasks_queue\" AND metric.type = \"cloudtasks.googleapis.com/queue/depth\"", aligner = "ALIGN_MAX", by = ["resource.label.queue_id"] },
    { title = "Failed tasks by phase", filter = local.metric_of["phasegate/failed_tasks"], aligner = "ALIGN_DELTA", by = ["metric.label.phase"] },
    { title = "Requests by function", filter = "${local.ours} AND metric.type = \"run.googleapis.com/request_count\"", aligner = "ALIGN_RATE", by = ["resource.label.service_name"] },
    { title = "Instances by function", filter = "${local.ours} AND metric.type = \"run.googleapis.com/container/instance_count\"", aligner = "ALIGN_MAX", by = ["resource.label.service_name"] },
    { title = "Oldest message", filter = "${local.of_subscription}/oldest_unacked_message_age\"", aligner = "ALIGN_MAX", by = ["resource.label.subscription_id"] },
    { title = "Dead letters", filter = "${local.of_subscription}/num_undelivered_messages\" AND resource.labels.subscription_id = monitoring.regex.full_match(\".*-dead\")", aligner = "ALIGN_MAX", by = ["resource.label.subscription_id"] },
    { title = "Set aside", filter = local.metric_of["phasegate/set_aside"], aligner = "ALIGN_DELTA", by = [] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "Phasegate"
    mosaicLayout = {
      columns = 12
      tiles = [
        for number, chart in local.charts : {
          xPos = number % 2 * 6, yPos = floor(number / 2) * 4, width = 6, height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = "REDUCE_SUM"
                      groupByFields      = chart.by
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })
  depends_on = [google_project_service.this, google_logging_metric.this]
}
