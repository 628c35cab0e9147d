# Pub/Sub: topics, and subscriptions that push to functions, keep dead letters, or write into BigQuery.

locals {
  # layout.py lists the same: a test compares the two. Observed topics are the existing system's, which makes them itself.
  pushed = merge(
    {
      # The listener may be given a message as often as it likes: an outage of an hour costs no completion.
      backfill-completions = { topic = "backfill-completions", function = "listener", max_deliveries = 100 }
      # A person waits for this one: a bad request is set aside within minutes.
      backfill-kickoff = { topic = "backfill-kickoff", function = "starter", max_deliveries = 10 }
    },
    { for topic in local.observed_topics : "phasegate-${topic}" => { topic = topic, function = "listener", max_deliveries = 100 } },
  )
  subscriptions = merge(
    {
      for name, each in local.pushed : name => merge(each, {
        table = null, dead_letter = "${name}-dead", min_backoff = "1s", max_backoff = "60s"
      })
    },
    {
      backfill-events = {
        topic       = "backfill-completions", function = null, table = "backfill_events", max_deliveries = 10
        dead_letter = "backfill-completions-dead", min_backoff = "10s", max_backoff = "600s"
      }
    },
    # Pub/Sub forgets what is published on a topic that has no subscription: dead letters need one to be kept.
    {
      for name in keys(local.pushed) : "${name}-dead" => {
        topic       = "${name}-dead", function = null, table = null, dead_letter = null, max_deliveries = null
        min_backoff = "1s", max_backoff = "60s"
      }
    },
  )
  topics       = toset([for each in values(local.subscriptions) : each.topic if !contains(local.observed_topics, each.topic)])
  topic_ids    = { for topic in setunion(local.topics, toset(local.observed_topics)) : topic => "projects/${var.project}/topics/${topic}" }
  dead_letters = { for name, each in local.subscriptions : name => each.dead_letter if each.dead_letter != null }
}

resource "google_pubsub_topic" "this" {
  for_each = local.topics

  name         = each.key
  kms_key_name = local.kms_key
  # What was taken can be delivered once more after a mistake of ours.
  message_retention_duration = "604800s"

  # "Regional choice one": messages stay where everything else is.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service_identity.pubsub, google_kms_crypto_key_iam_member.agents]
}

resource "google_pubsub_subscription" "this" {
  for_each = local.subscriptions

  name  = each.key
  topic = local.topic_ids[each.value.topic]

  # The longest there is, and the push timeout: a slower handler is delivered the message again.
  ack_deadline_seconds       = 600
  message_retention_duration = "604800s"

  # Never: by default an idle subscription is deleted after 31 days, and nobody hears of it.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = each.value.min_backoff
    maximum_backoff = each.value.max_backoff
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.dead_letter[*]
    content {
      dead_letter_topic     = local.topic_ids[dead_letter_policy.value]
      max_delivery_attempts = each.value.max_deliveries
    }
  }

  dynamic "push_config" {
    for_each = each.value.function[*]
    content {
      # From such a path functions-framework reads a CloudEvent's source.
      push_endpoint = "${local.urls[push_config.value]}/projects/${var.project}/topics/${each.value.topic}"
      oidc_token {
        service_account_email = local.emails["push"]
        audience              = local.urls[push_config.value]
      }
    }
  }

  dynamic "bigquery_config" {
    for_each = each.value.table[*]
    content {
      table          = "${var.project}.${local.own_tables[bigquery_config.value].dataset}.${bigquery_config.value}"
      write_metadata = true
    }
  }

  depends_on = [
    google_pubsub_topic.this,
    google_cloudfunctions2_function.this,
    google_bigquery_table_iam_member.this,
    google_service_account_iam_member.pubsub_makes_tokens,
  ]
}
