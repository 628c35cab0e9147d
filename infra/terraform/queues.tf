# Cloud Tasks: Phasegate's own queues, and those of the pipelines with the limits that their files say.

locals {
  # QueueSpec in shared/phasegate/domain/spec/pipeline.py has the same defaults, layout.py the same queues of our own: tests compare them.
  queue_defaults = { max_per_second = 500, max_concurrent = 100, min_backoff_seconds = 0.1, max_backoff_seconds = 60 }

  control_queues = {
    conductor = { function = "conductor", max_concurrent = 1 } # two at once would ask the same, and one lose its commit
    dispatch  = { function = "dispatcher", max_concurrent = 8 }
    sweep     = { function = "sweeper", max_concurrent = 8 }
    verify    = { function = "verifier", max_concurrent = 1 } # a report reads whole tables
  }

  # Every queue of every pipeline; two that share a name are refused below.
  work_queues = merge([
    for folder, pipeline in local.pipelines : {
      for name, spec in pipeline.queues : name => merge({ function = "runner" }, coalesce(spec, {}))
    }
  ]...)
  owners = {
    for name in distinct(flatten([for pipeline in values(local.pipelines) : keys(pipeline.queues)])) :
    name => [for folder, pipeline in local.pipelines : folder if contains(keys(pipeline.queues), name)]
  }

  queues   = { for name, queue in merge(local.work_queues, local.control_queues) : name => merge(local.queue_defaults, queue) }
  queue_id = { for name in keys(local.queues) : name => replace(name, "_", "-") }
}

resource "google_cloud_tasks_queue" "this" {
  for_each = local.queues

  name     = local.queue_id[each.key]
  location = var.region

  rate_limits {
    max_dispatches_per_second = each.value.max_per_second
    max_concurrent_dispatches = each.value.max_concurrent
  }

  # Deliveries have no end: attempts are counted by Phasegate alone.
  retry_config {
    max_attempts  = -1
    max_doublings = 16
    # In the words in which Cloud Tasks gives them back: 0.1 is 0.100s there.
    min_backoff = format(floor(each.value.min_backoff_seconds) == each.value.min_backoff_seconds ? "%.0fs" : "%.3fs", each.value.min_backoff_seconds)
    max_backoff = format(floor(each.value.max_backoff_seconds) == each.value.max_backoff_seconds ? "%.0fs" : "%.3fs", each.value.max_backoff_seconds)
  }

  depends_on = [google_project_service.this]

  lifecycle {
    precondition {
      condition     = each.value.max_per_second > 0 && each.value.max_per_second <= 500
      error_message = "queues.${each.key}.max_per_second is ${each.value.max_per_second}: Cloud Tasks takes more than 0 and at most 500 a second."
    }
    precondition {
      condition     = each.value.max_concurrent >= 1 && each.value.max_concurrent <= 5000
      error_message = "queues.${each.key}.max_concurrent is ${each.value.max_concurrent}: Cloud Tasks takes 1 to 5000 at once."
    }
    precondition {
      condition     = each.value.min_backoff_seconds > 0 && each.value.min_backoff_seconds <= each.value.max_backoff_seconds
      error_message = "queues.${each.key}: min_backoff_seconds must be above 0, and not above max_backoff_seconds."
    }
    precondition {
      condition     = length(lookup(local.owners, each.key, [])) <= 1
      error_message = "The queue ${each.key} stands in the pipelines ${join(", ", lookup(local.owners, each.key, []))}: each needs one of its own, or their limits would be those of the last one applied."
    }
    precondition {
      condition     = !(contains(keys(local.owners), each.key) && contains(keys(local.control_queues), each.key))
      error_message = "The name ${each.key} is reserved for Phasegate's own queue: choose another in pipelines ${join(", ", lookup(local.owners, each.key, []))}."
    }
    precondition {
      condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", each.key))
      error_message = "A queue's name has lower-case letters, digits and underscores, and begins with a letter: ${each.key} does not."
    }
  }
}
