variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "The one region of functions, queues, Firestore and buckets."
  type        = string
  default     = "us-central1"
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Give a region such as us-central1, neither a zone nor a multi-region."
  }
}

variable "location" {
  description = "BigQuery's location of all datasets; empty: the region."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition = (
      contains(["", var.region], lower(var.location)) ||
      (upper(var.location) == "US" && startswith(var.region, "us-")) ||
      (upper(var.location) == "EU" && startswith(var.region, "europe-"))
    )
    error_message = "Tables lie in the region, or in the multi-region (US, EU) around it: anything else is read across the world."
  }
}

variable "pipelines" {
  description = "Folder of the pipelines, each a folder with a pipeline.yaml; relative to this one."
  type        = string
  default     = "../../pipelines"
  nullable    = false
}

variable "pipeline" {
  description = "Folder name of the pipeline that the functions serve, for example nba."
  type        = string
  nullable    = false
}

variable "commit" {
  description = "The commit that is deployed, in the functions' environment and labels."
  type        = string
  default     = "unknown"
  nullable    = false
  validation {
    condition     = can(regex("^[a-z0-9_-]{1,63}$", var.commit))
    error_message = "A commit is given as git prints it: it becomes the value of a label."
  }
}

variable "runtime" {
  description = "Python of the functions, as Google names it."
  type        = string
  default     = "python313"
  nullable    = false
  validation {
    condition     = can(regex("^python3(1[1-9]|[2-9][0-9])$", var.runtime))
    error_message = "Phasegate needs Python 3.11 or newer (python311, python312, python313, ...)."
  }
}

variable "function_sizes" {
  description = "What functions get in place of the sizes in functions.tf, by name."
  type = map(object({
    memory          = optional(string)
    cpu             = optional(string)
    min_instances   = optional(number)
    max_instances   = optional(number)
    timeout_seconds = optional(number)
  }))
  default  = {}
  nullable = false
}

variable "workers" {
  description = "Workers without a url in the pipeline file are deployed as functions; by name: their sizes and environment."
  type = map(object({
    memory          = optional(string, "2Gi")
    cpu             = optional(string, "1")
    concurrency     = optional(number, 32)
    min_instances   = optional(number, 0)
    max_instances   = optional(number)
    timeout_seconds = optional(number, 1800)
    publishes       = optional(bool, false)
    environment     = optional(map(string), {})
  }))
  default  = {}
  nullable = false
}

variable "database" {
  description = "Firestore's database."
  type        = string
  default     = "(default)"
  nullable    = false
  validation {
    condition     = var.database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "A database is (default), or has 4 to 63 lower-case letters, digits and hyphens."
  }
}

variable "bucket" {
  description = "Bucket of objects and reports; empty: the project's id and -phasegate."
  type        = string
  default     = ""
  nullable    = false
}

variable "existing_datasets" {
  description = "Datasets of the pipeline that are there already and are not made here."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "max_bytes_billed" {
  description = "A query that would read more bytes fails free of charge."
  type        = number
  default     = 21474836480
  nullable    = false
  validation {
    condition     = var.max_bytes_billed >= 10485760
    error_message = "BigQuery bills at least 10 MiB a query."
  }
}

variable "service_account_prefix" {
  description = "First part of the ids of all service accounts."
  type        = string
  default     = "phasegate"
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}$", var.service_account_prefix))
    error_message = "With a hyphen and the longest name (dispatcher) an id may have 30 characters: 2 to 19 lower-case letters, digits and hyphens."
  }
}

variable "operators_group" {
  description = "Google group of those who begin and operate runs; empty: nobody but the project's owners."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.operators_group == "" || can(regex("^[^@: ]+@[^@: ]+$", var.operators_group))
    error_message = "Give the group's e-mail address."
  }
}

variable "viewers_group" {
  description = "Google group of those who see dashboard, logs and reports; empty: nobody but the project's owners."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.viewers_group == "" || can(regex("^[^@: ]+@[^@: ]+$", var.viewers_group))
    error_message = "Give the group's e-mail address."
  }
}

variable "alert_emails" {
  description = "Who is told of alerts and of the budget."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "failed_tasks_alert" {
  description = "So many failed tasks of a phase within ten minutes raise its alert."
  type        = number
  default     = 50
  nullable    = false
}

variable "budget" {
  description = "Monthly budget of the project; without a billing account there is none."
  type = object({
    billing_account = optional(string, "")
    amount          = optional(number, 100)
    currency        = optional(string, "USD")
    thresholds      = optional(list(number), [0.5, 0.9, 1.0])
  })
  default  = {}
  nullable = false
}

variable "canary" {
  description = "Dates that a weekly job takes through the whole pipeline again; without any the job is paused."
  type = object({
    dates = optional(list(string), [])
    cron  = optional(string, "0 9 * * 1")
  })
  default  = {}
  nullable = false
}

variable "kickoff" {
  description = "A job that asks for runs by itself, as a person would; without a cron line there is none. For the current season every morning: { cron = \"0 11 * * *\", request = { season = [\"2024-25\"], profile = \"current\", exclude_live = true } } (docs/stack.md, Every morning)."
  type = object({
    cron = optional(string, "")
    request = optional(object({
      season       = optional(list(string))
      from         = optional(string)
      to           = optional(string)
      last         = optional(string)
      phases       = optional(string)
      profile      = optional(string)
      reprocess    = optional(string)
      exclude_live = optional(bool)
      why          = optional(string)
    }), {})
  })
  default  = {}
  nullable = false
}

variable "backups" {
  description = "Firestore: whether the last week can be read back to the minute, and for how many days daily backups are kept (0: none are made)."
  type = object({
    point_in_time_recovery = optional(bool, true)
    daily_days             = optional(number, 14)
  })
  default  = {}
  nullable = false
  validation {
    condition     = var.backups.daily_days >= 0 && var.backups.daily_days <= 98
    error_message = "Firestore keeps backups for at most 14 weeks."
  }
}

variable "time_to_live" {
  description = "Days after which Firestore deletes documents, by collection.field of a time. A lease that ran out is as good as none; a claim is looked at while Cloud Tasks may deliver its task (31 days), and by nobody when its attempt has ended; `phasegate forget` deletes the rest of a run, whose id may be used again when `forgotten` is gone."
  type        = map(number)
  default     = { "leases.until" = 30, "attempts.lease_until" = 90, "forgotten.at" = 60 }
  nullable    = false
}

variable "noncurrent_days" {
  description = "Days for which replaced and deleted objects are kept."
  type        = number
  default     = 30
  nullable    = false
}

variable "events_days" {
  description = "Days for which the table of run events keeps a day."
  type        = number
  default     = 365
  nullable    = false
}

variable "kms_key" {
  description = "Customer-managed key for Firestore, topics, buckets, tables and images; empty: Google's own keys."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.kms_key == "" || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "Give the key's full name: projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
  validation {
    condition     = var.kms_key == "" || (strcontains(var.kms_key, "/locations/${var.region}/") && contains(["", var.region], lower(var.location)))
    error_message = "Firestore, buckets and datasets take a key of their own location only: the key and location must be in the region."
  }
}

variable "deletion_protection" {
  description = "Whether Firestore, tables and buckets refuse to be destroyed; false before a teardown."
  type        = bool
  default     = true
  nullable    = false
}

variable "labels" {
  description = "More labels of everything that takes labels."
  type        = map(string)
  default     = {}
  nullable    = false
}
