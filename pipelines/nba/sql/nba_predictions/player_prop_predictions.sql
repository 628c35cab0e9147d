-- Every system's prediction for each of a date's players; where there is a betting line, on which side of it, if the
-- prediction is at least 2 points away.
WITH systems AS (
  SELECT 'moving_average_baseline' AS system_id, *
  FROM `nba_predictions.predictions_moving_average_baseline`
  WHERE game_date BETWEEN @first AND @last
  UNION ALL
  SELECT 'zone_matchup_v1' AS system_id, *
  FROM `nba_predictions.predictions_zone_matchup_v1`
  WHERE game_date BETWEEN @first AND @last
  UNION ALL
  SELECT 'similarity_balanced_v1' AS system_id, *
  FROM `nba_predictions.predictions_similarity_balanced_v1`
  WHERE game_date BETWEEN @first AND @last
  UNION ALL
  SELECT 'xgboost_v1' AS system_id, *
  FROM `nba_predictions.predictions_xgboost_v1`
  WHERE game_date BETWEEN @first AND @last
  UNION ALL
  SELECT 'ensemble_v1' AS system_id, *
  FROM `nba_predictions.predictions_ensemble_v1`
  WHERE game_date BETWEEN @first AND @last
)
SELECT
  systems.game_date,
  systems.game_id,
  systems.season,
  systems.player_id,
  systems.player_lookup,
  systems.team,
  systems.opponent,
  systems.system_id,
  systems.predicted_points,
  systems.confidence_score,
  systems.points_line,
  IF(
    systems.points_line IS NULL,
    NULL,
    IF(
      systems.predicted_points - systems.points_line >= 2,
      'OVER',
      IF(systems.points_line - systems.predicted_points >= 2, 'UNDER', 'PASS')
    )
  ) AS recommendation
FROM UNNEST(@dates) AS asked
JOIN systems ON systems.game_date = asked.d
