# Customer-managed keys, if a key is given: the services that keep data may use it.

locals {
  # Their service agents; Cloud Tasks keeps payloads under Google's own keys (its key is set for a location, with gcloud).
  key_users = var.kms_key == "" ? {} : {
    artifactregistry = "service-${local.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    bigquery         = "bq-${local.number}@bigquery-encryption.iam.gserviceaccount.com"
    firestore        = "service-${local.number}@gcp-sa-firestore.iam.gserviceaccount.com"
    functions        = "service-${local.number}@gcf-admin-robot.iam.gserviceaccount.com"
    pubsub           = "service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    run              = "service-${local.number}@serverless-robot-prod.iam.gserviceaccount.com"
    storage          = "service-${local.number}@gs-project-accounts.iam.gserviceaccount.com"
  }
}

# A grant to a service agent that is not there yet is refused.
resource "google_project_service_identity" "key_users" {
  provider = google-beta
  for_each = var.kms_key == "" ? [] : toset(["artifactregistry", "cloudfunctions", "firestore", "run"])

  project    = var.project
  service    = "${each.key}.googleapis.com"
  depends_on = [google_project_service.this]
}

data "google_storage_project_service_account" "this" {
  count      = var.kms_key == "" ? 0 : 1
  depends_on = [google_project_service.this]
}

data "google_bigquery_default_service_account" "this" {
  count      = var.kms_key == "" ? 0 : 1
  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local.key_users

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
  depends_on = [
    google_project_service_identity.pubsub,
    google_project_service_identity.key_users,
    data.google_storage_project_service_account.this,
    data.google_bigquery_default_service_account.this,
  ]
}
