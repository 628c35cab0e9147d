# Buckets: objects and reports, and the sources of the functions.

locals {
  buckets = {
    objects = local.bucket
    source  = "${local.bucket}-source"
  }
}

resource "google_storage_bucket" "this" {
  #checkov:skip=CKV_GCP_62:access is seen in Cloud Audit Logs where a project switches data access logs on; a bucket of logs would be another thing to guard
  for_each = local.buckets

  name                        = each.value
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.noncurrent_days
      with_state                 = "ARCHIVED"
    }
  }
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "encryption" {
    for_each = local.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]

  lifecycle {
    precondition {
      condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", each.value))
      error_message = "The bucket's name ${each.value} has more than 63 characters, or one that Cloud Storage does not take: set bucket."
    }
  }
}
