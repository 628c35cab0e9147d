# A project for trying: one season now and then. Idle it costs nearly nothing.
project  = "my-project-small"
region   = "us-central1"
pipeline = "nba"

backups = {
  point_in_time_recovery = false
  daily_days             = 7
}
deletion_protection = false # a teardown needs no second thought
