# What must hold between things; what must hold of one thing stands with it.

check "functions_keep_up_with_their_queues" {
  assert {
    condition = alltrue([
      for function, dispatches in local.dispatches :
      dispatches <= local.sizes[function].max_instances * local.functions[function].concurrency
    ])
    error_message = join("\n", [
      for function, dispatches in local.dispatches :
      "Queues may call ${function} ${dispatches} times at once, and it serves ${local.sizes[function].max_instances} instances x ${local.functions[function].concurrency} requests: the rest is answered 429. Raise max_instances in function_sizes, or lower max_concurrent."
      if dispatches > local.sizes[function].max_instances * local.functions[function].concurrency
    ])
  }
}

# A check only warns; what cannot work is refused before anything is made.
resource "terraform_data" "sound" {
  lifecycle {
    precondition {
      condition     = contains(keys(local.pipelines), var.pipeline)
      error_message = "There is no pipeline ${var.pipeline}: ${var.pipelines} has ${join(", ", keys(local.pipelines))}."
    }
    precondition {
      condition     = length(setsubtract(keys(var.function_sizes), keys(local.functions))) == 0
      error_message = "function_sizes names what is no function: ${join(", ", setsubtract(keys(var.function_sizes), keys(local.functions)))}."
    }
    precondition {
      condition     = length(setsubtract(keys(var.workers), keys(local.workers))) == 0
      error_message = "workers names what is no worker without a url of the pipeline ${var.pipeline}: ${join(", ", setsubtract(keys(var.workers), keys(local.workers)))}."
    }
    precondition {
      condition = alltrue([
        for file in values(local.worker_files) : fileexists("${local.pipelines_folder}/${var.pipeline}/${file}")
      ])
      error_message = "Workers without a url are deployed from the main.py beside the module of their factory, in the folder of the pipeline file; it is not there for: ${join(", ", [for name, file in local.worker_files : "${name} (${file})" if !fileexists("${local.pipelines_folder}/${var.pipeline}/${file}")])}. Write one, or give the worker a url in the pipeline file."
    }
    precondition {
      condition     = alltrue([for dataset in var.existing_datasets : contains(local.datasets, dataset)])
      error_message = "existing_datasets names what no table of the pipeline lies in."
    }
    precondition {
      condition     = alltrue([for field in keys(var.time_to_live) : can(regex("^[a-z_]+\\.[a-z_]+$", field))])
      error_message = "time_to_live: keys are collection.field."
    }
  }
}
