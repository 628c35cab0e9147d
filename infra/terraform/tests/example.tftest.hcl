# What `-var-file=environments/….tfvars` makes; without one, a deployment of which only project and pipeline are said.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project  = "demo-project"
  pipeline = "nba"
}

run "example" {
  command = plan

  assert {
    condition     = length(google_cloudfunctions2_function.this) == 8 && length(google_firestore_field.this) > 20
    error_message = "An example is a whole deployment."
  }
}
