# BigQuery: the pipeline's datasets, and the tables that the orchestrator itself writes. Workers make their own tables.

locals {
  own_dataset = split(".", local.history_table)[0]
  own_tables = merge(
    {
      (split(".", local.history_table)[1]) = {
        dataset = local.own_dataset, schema = "processor_run_history", partition = "data_date", days = null
        about   = "One row an attempt, written by the conductor."
      }
      backfill_contents = {
        dataset = local.own_dataset, schema = "backfill_contents", partition = "data_date", days = null
        about   = "What each output was made from, written by the conductor when a run has ended."
      }
      backfill_events = {
        dataset = local.own_dataset, schema = "backfill_events", partition = "publish_time", days = var.events_days
        about   = "Every message on backfill-completions, written by Pub/Sub."
      }
    },
    local.report_table == null ? {} : {
      (split(".", coalesce(local.report_table, "none.none"))[1]) = {
        dataset = split(".", coalesce(local.report_table, "none.none"))[0], schema = "backfill_reports", partition = null, days = null
        about   = "One row a report, written by the verifier."
      }
    },
  )
}

resource "google_bigquery_dataset" "this" {
  for_each = setsubtract(local.datasets, toset(var.existing_datasets))

  dataset_id                 = each.key
  location                   = local.location
  delete_contents_on_destroy = !var.deletion_protection

  dynamic "default_encryption_configuration" {
    for_each = local.kms_key[*]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

resource "google_bigquery_table" "own" {
  for_each = local.own_tables

  dataset_id          = each.value.dataset
  table_id            = each.key
  description         = each.value.about
  schema              = file("${path.module}/schemas/${each.value.schema}.json")
  deletion_protection = var.deletion_protection

  dynamic "time_partitioning" {
    for_each = each.value.partition[*]
    content {
      type          = "DAY"
      field         = time_partitioning.value
      expiration_ms = each.value.days == null ? null : each.value.days * 86400000
    }
  }

  dynamic "encryption_configuration" {
    for_each = local.kms_key[*]
    content {
      kms_key_name = encryption_configuration.value
    }
  }

  depends_on = [google_bigquery_dataset.this]
}
