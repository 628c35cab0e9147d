-- What each of a date's players scores if he goes on as he did: his means of 5, 10 and 15 games, the long one weighs most.
SELECT
  features.game_date,
  features.game_id,
  features.season,
  features.player_id,
  features.player_lookup,
  features.team,
  features.opponent,
  ROUND(
    LEAST(100, 0.3 * features.points_avg_l5 + 0.3 * features.points_avg_l10 + 0.4 * features.points_avg_l15), 2
  ) AS predicted_points,
  -- How much is known of him, and less of it the more his points vary.
  ROUND(features.quality_score * 12 / (12 + COALESCE(features.points_std_l10, 6)), 2) AS confidence_score,
  features.points_line
FROM UNNEST(@dates) AS asked
JOIN `nba_predictions.ml_feature_store_v2` AS features ON features.game_date = asked.d
WHERE features.game_date BETWEEN @first AND @last
