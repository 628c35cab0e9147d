# The one source archive of all functions: the package, what it needs, and the pipelines' folders, with the addresses of
# their workers in the pipeline files.

locals {
  root          = "${path.module}/../.."
  pipeline_path = "pipelines/${var.pipeline}/pipeline.yaml"
  # shared/ is a source folder: in the archive the package lies at the top, where Python finds it.
  packages = {
    for file in fileset(local.root, "{functions,shared}/**/*.{py,j2,sql,txt}") : trimprefix(file, "shared/") => file
    if !strcontains(file, "__pycache__") && !startswith(file, "shared/phasegate/stack/")
  }
  beside_pipelines = [
    for file in fileset(local.pipelines_folder, "**/*.{py,sql,json}") : file if !strcontains(file, "__pycache__")
  ]

  # As the local stack writes it: workers without a url get that of their function.
  deployed_pipelines = {
    for name, pipeline in local.pipelines : name => yamlencode(merge(pipeline, {
      workers = {
        for worker, spec in try(pipeline.workers, {}) : worker => merge(spec, {
          url = try(spec.url, null) != null || name != var.pipeline ? try(spec.url, null) : local.worker_urls[worker]
        })
      }
    }))
  }

  archive = merge(
    { "main.py" = file("${path.module}/../source/main.py") },
    # Pinned with hashes where the project has a lock; the pipeline's own, if it has one, holds what its workers need besides.
    { "requirements.txt" = file([
      for each in ["${local.pipelines_folder}/${var.pipeline}/requirements.lock", "${local.root}/requirements.lock", "${local.root}/requirements.txt"] : each
      if fileexists(each)
    ][0]) },
    { for name, file in local.packages : name => file("${local.root}/${file}") },
    { for file in local.beside_pipelines : "pipelines/${file}" => file("${local.pipelines_folder}/${file}") },
    { for name, text in local.deployed_pipelines : "pipelines/${name}/pipeline.yaml" => text },
  )
}

data "archive_file" "source" {
  type        = "zip"
  output_path = "${path.module}/.build/source.zip"

  dynamic "source" {
    for_each = local.archive
    content {
      filename = source.key
      content  = source.value
    }
  }
}

resource "google_storage_bucket_object" "source" {
  # Another content is another name: the functions are built anew. Going back makes the archive again (delivery/rollback.sh).
  name   = "functions-${data.archive_file.source.output_sha256}.zip"
  bucket = google_storage_bucket.this["source"].name
  source = data.archive_file.source.output_path
}

# For the command line, which must know the pipeline as the functions do.
resource "google_storage_bucket_object" "pipeline" {
  name    = "deployed/pipeline.yaml"
  bucket  = google_storage_bucket.this["objects"].name
  content = lookup(local.deployed_pipelines, var.pipeline, "{}")
}

resource "google_storage_bucket_object" "pipeline_sql" {
  for_each = toset([for file in local.beside_pipelines : trimprefix(file, "${var.pipeline}/") if startswith(file, "${var.pipeline}/") && !endswith(file, ".py")])

  name    = "deployed/${each.key}"
  bucket  = google_storage_bucket.this["objects"].name
  content = file("${local.pipelines_folder}/${var.pipeline}/${each.key}")
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "phasegate"
  description   = "Images of the functions."
  format        = "DOCKER"
  location      = var.region
  kms_key_name  = local.kms_key

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}
