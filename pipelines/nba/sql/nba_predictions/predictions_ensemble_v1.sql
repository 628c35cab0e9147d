-- The systems together, under fixed weights: xgboost_v1 8, every other 1. One that has no row for a player does not count.
-- The weights were found on the seasons 2021-22 and 2022-23 (that of zone_matchup_v1, which had no shots there, is the
-- baseline's); later seasons are dates that they have not seen.
WITH systems AS (
  SELECT game_date, player_id, 1 AS weight, predicted_points, confidence_score
  FROM `nba_predictions.predictions_moving_average_baseline`
  WHERE game_date BETWEEN @first AND @last
  UNION ALL
  SELECT game_date, player_id, 1 AS weight, predicted_points, confidence_score
  FROM `nba_predictions.predictions_zone_matchup_v1`
  WHERE game_date BETWEEN @first AND @last
  UNION ALL
  SELECT game_date, player_id, 1 AS weight, predicted_points, confidence_score
  FROM `nba_predictions.predictions_similarity_balanced_v1`
  WHERE game_date BETWEEN @first AND @last
  UNION ALL
  SELECT game_date, player_id, 8 AS weight, predicted_points, confidence_score
  FROM `nba_predictions.predictions_xgboost_v1`
  WHERE game_date BETWEEN @first AND @last
),
sums AS (
  SELECT
    game_date,
    player_id,
    -- Whole hundredths, so that the order in which rows are summed cannot show.
    SUM(weight) AS weight,
    SUM(weight * CAST(ROUND(100 * predicted_points) AS INT64)) AS points_hundredths,
    SUM(weight * CAST(ROUND(100 * confidence_score) AS INT64)) AS confidence_hundredths,
    MAX(predicted_points) - MIN(predicted_points) AS spread
  FROM systems
  GROUP BY game_date, player_id
)
SELECT
  features.game_date,
  features.game_id,
  features.season,
  features.player_id,
  features.player_lookup,
  features.team,
  features.opponent,
  ROUND(SAFE_DIVIDE(sums.points_hundredths, 100 * sums.weight), 2) AS predicted_points,
  -- The mean of the systems' confidence, and less of it the farther apart they are.
  ROUND(
    SAFE_DIVIDE(sums.confidence_hundredths, 100 * sums.weight) * SAFE_DIVIDE(12, 12 + sums.spread), 2
  ) AS confidence_score,
  features.points_line
FROM UNNEST(@dates) AS asked
JOIN `nba_predictions.ml_feature_store_v2` AS features ON features.game_date = asked.d
JOIN sums ON sums.game_date = features.game_date AND sums.player_id = features.player_id
WHERE features.game_date BETWEEN @first AND @last
