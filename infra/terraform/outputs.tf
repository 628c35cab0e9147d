output "urls" {
  description = "Where the functions answer, to who may call them."
  value       = local.urls
}

output "worker_urls" {
  description = "Where the workers answer that are deployed here; POST /prepare makes their tables."
  value       = local.worker_urls
}

output "environment" {
  description = "What `phasegate --backend gcp` needs, but for PHASEGATE_PIPELINE: a copy of pipeline_file."
  value       = { for name, value in local.environment : name => value if name != "PHASEGATE_PIPELINE" }
}

output "pipeline_file" {
  description = "The pipeline as it is deployed, with the addresses of its workers."
  value       = "gs://${local.bucket}/${google_storage_bucket_object.pipeline.name}"
}

output "kickoff_command" {
  description = "Begins a run by a message; fill in the dates."
  value       = "gcloud pubsub topics publish backfill-kickoff --project ${var.project} --message '{\"from\": \"YYYY-MM-DD\", \"to\": \"YYYY-MM-DD\", \"why\": \"...\"}'"
}

output "start_command" {
  description = "Begins a run by a call; the answer is the run."
  value       = "gcloud functions call starter --gen2 --project ${var.project} --region ${var.region} --data '{\"from\": \"YYYY-MM-DD\", \"to\": \"YYYY-MM-DD\", \"why\": \"...\"}'"
}

output "bucket" {
  description = "Objects and reports."
  value       = local.bucket
}

output "source_folder" {
  description = "Where the reference worker looks for its games (parquet files)."
  value       = "gs://${local.bucket}/source"
}

output "accounts" {
  description = "Service accounts by what they are for; the runner's needs run.invoker on workers that are deployed elsewhere, and so does the starter's."
  value       = local.emails
}

output "queues" {
  description = "Queues as Cloud Tasks calls them."
  value       = values(local.queue_id)
}

output "dashboard_url" {
  description = "The dashboard."
  value       = "https://console.cloud.google.com/monitoring/dashboards?project=${var.project}"
}

output "deployed" {
  description = "Names of what is deployed, for tests and tools."
  value = {
    functions     = keys(local.functions)
    workers       = local.worker_services
    topics        = sort(local.topics)
    subscriptions = keys(local.subscriptions)
    queues        = local.queue_id
    schedules     = keys(local.jobs)
    alerts        = keys(local.alerts)
    datasets      = sort(local.datasets)
    tables        = [for name, table in local.own_tables : "${table.dataset}.${name}"]
  }
}
