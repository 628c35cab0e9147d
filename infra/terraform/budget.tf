# A budget says that money is spent; it stops nothing.

resource "google_billing_budget" "this" {
  count = var.budget.billing_account == "" ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "phasegate ${var.project}"

  budget_filter {
    projects = ["projects/${local.number}"]
  }
  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(floor(var.budget.amount))
    }
  }
  dynamic "threshold_rules" {
    for_each = var.budget.thresholds
    content {
      threshold_percent = threshold_rules.value
    }
  }
  all_updates_rule {
    monitoring_notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
    # Without a channel Google tells the billing account's administrators.
    disable_default_iam_recipients = length(var.alert_emails) > 0
  }
  depends_on = [google_project_service.this]
}
