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

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local.key_users

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
  depends_on    = [google_project_service.this, google_project_service_identity.pubsub]
}
