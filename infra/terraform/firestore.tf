# Firestore: the state of runs. What is indexed, and what is not, is one list: infra/firestore.indexes.json.

locals {
  indexes = jsondecode(file("${path.module}/../firestore.indexes.json"))
  index_of_field = {
    for each in local.indexes.fieldOverrides : "${each.collectionGroup}.${each.fieldPath}" => each
  }
  # A field has one resource, also when it is both without an index and a time after which documents are deleted.
  fields = toset(concat(keys(local.index_of_field), keys(var.time_to_live)))
}

resource "google_firestore_database" "this" {
  name        = var.database
  location_id = var.region
  type        = "FIRESTORE_NATIVE"

  point_in_time_recovery_enablement = var.backups.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "DELETE"

  dynamic "cmek_config" {
    for_each = local.kms_key[*]
    content {
      kms_key_name = cmek_config.value
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

resource "google_firestore_field" "this" {
  for_each = local.fields

  database   = google_firestore_database.this.name
  collection = split(".", each.key)[0]
  field      = split(".", each.key)[1]

  dynamic "index_config" {
    for_each = contains(keys(local.index_of_field), each.key) ? [local.index_of_field[each.key]] : []
    content {
      # None at all: the field is exempted.
      dynamic "indexes" {
        for_each = index_config.value.indexes
        content {
          order        = try(indexes.value.order, null)
          array_config = try(indexes.value.arrayConfig, null)
          query_scope  = indexes.value.queryScope
        }
      }
    }
  }

  dynamic "ttl_config" {
    for_each = contains(keys(var.time_to_live), each.key) ? [var.time_to_live[each.key]] : []
    content {
      expiration_offset = "${ttl_config.value * 86400}s"
    }
  }
}

resource "google_firestore_index" "this" {
  for_each = { for each in local.indexes.indexes : join(".", concat([each.collectionGroup], each.fields[*].fieldPath)) => each }

  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

resource "google_firestore_backup_schedule" "daily" {
  count = var.backups.daily_days > 0 ? 1 : 0

  database  = google_firestore_database.this.name
  retention = "${var.backups.daily_days * 86400}s"
  daily_recurrence {}
}
