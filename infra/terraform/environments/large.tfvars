# A project that backfills beside a live pipeline, with people on call.
project  = "my-project-large"
region   = "us-east4"
pipeline = "nba"

existing_datasets = ["nba_raw", "nba_analytics"] # made by the live pipeline

function_sizes = {
  conductor = { memory = "4Gi", cpu = "2" } # thousands of dates on one board
  starter   = { min_instances = 1 }         # the first kick-off of a morning does not wait for a start
}
workers = {
  nba = { memory = "4Gi", cpu = "2", max_instances = 30 }
}

operators_group = "backfill-operators@example.com"
viewers_group   = "data-team@example.com"
alert_emails    = ["data-on-call@example.com"]
budget = {
  billing_account = "000000-000000-000000"
  amount          = 500
}

canary = {
  dates = ["2024-01-15"]
}
kickoff = {
  cron = "0 11 * * *"
  request = {
    season       = ["2024-25"]
    profile      = "current"
    exclude_live = true
  }
}
kms_key = "projects/my-project-large/locations/us-east4/keyRings/data/cryptoKeys/phasegate"
