-- One row a player of a date, every feature a column; made from the same date's context and precompute tables.
-- The betting line is a feature that many seasons lack: it does not count in feature_count (32 at most).
WITH features AS (
  SELECT
    player.game_date,
    player.game_id,
    player.season,
    player.player_id,
    player.player_lookup,
    player.team,
    player.opponent,
    cache.points_avg_l5,
    cache.points_avg_l10,
    cache.points_avg_l15,
    cache.points_std_l10,
    CAST(cache.points_last_game AS FLOAT64) AS points_last_game,
    cache.minutes_avg_l5,
    cache.minutes_avg_l10,
    CAST(cache.minutes_last_game AS FLOAT64) AS minutes_last_game,
    cache.reb_avg_l10,
    cache.ast_avg_l10,
    player.usage_avg_l5,
    player.usage_avg_l15,
    cache.points_share,
    IF(player.is_home, 1.0, 0.0) AS is_home,
    CAST(player.rest_days AS FLOAT64) AS rest_days,
    IF(player.back_to_back, 1.0, 0.0) AS back_to_back,
    CAST(player.games_last_7_days AS FLOAT64) AS games_last_7_days,
    factors.fatigue_score,
    factors.opponent_defense_score,
    factors.shot_matchup_score,
    factors.pace_score,
    factors.usage_trend,
    factors.composite_score,
    shots.two_rate,
    shots.three_rate,
    shots.ft_points_share,
    own.offensive_rating_l15 AS team_offensive_rating,
    own.pace_l15 AS team_pace,
    defense.defensive_rating AS opponent_defensive_rating,
    defense.pace AS opponent_pace,
    defense.opp_fg3_pct AS opponent_fg3_pct_allowed,
    CAST(own.opponent_rest_days AS FLOAT64) AS opponent_rest_days,
    player.points_line,
    shots.completeness_pct
  FROM `nba_analytics.upcoming_player_game_context` AS player
  JOIN UNNEST(@dates) AS asked ON asked.d = player.game_date
  JOIN `nba_precompute.player_daily_cache` AS cache
    ON cache.cache_date = player.game_date AND cache.cache_date BETWEEN @first AND @last
    AND cache.player_id = player.player_id
  LEFT JOIN `nba_precompute.player_composite_factors` AS factors
    ON factors.game_date = player.game_date AND factors.game_date BETWEEN @first AND @last
    AND factors.player_id = player.player_id
  LEFT JOIN `nba_precompute.player_shot_zone_analysis` AS shots
    ON shots.analysis_date = player.game_date AND shots.analysis_date BETWEEN @first AND @last
    AND shots.player_id = player.player_id
  LEFT JOIN `nba_precompute.team_defense_zone_analysis` AS defense
    ON defense.analysis_date = player.game_date AND defense.analysis_date BETWEEN @first AND @last
    AND defense.team = player.opponent
  LEFT JOIN `nba_analytics.upcoming_team_game_context` AS own
    ON own.game_date = player.game_date AND own.game_date BETWEEN @first AND @last
    AND own.game_id = player.game_id AND own.team = player.team
  WHERE player.game_date BETWEEN @first AND @last
),
counted AS (
  SELECT
    *,
    (
      IF(points_avg_l5 IS NULL, 0, 1)
      + IF(points_avg_l10 IS NULL, 0, 1)
      + IF(points_avg_l15 IS NULL, 0, 1)
      + IF(points_std_l10 IS NULL, 0, 1)
      + IF(points_last_game IS NULL, 0, 1)
      + IF(minutes_avg_l5 IS NULL, 0, 1)
      + IF(minutes_avg_l10 IS NULL, 0, 1)
      + IF(minutes_last_game IS NULL, 0, 1)
      + IF(reb_avg_l10 IS NULL, 0, 1)
      + IF(ast_avg_l10 IS NULL, 0, 1)
      + IF(usage_avg_l5 IS NULL, 0, 1)
      + IF(usage_avg_l15 IS NULL, 0, 1)
      + IF(points_share IS NULL, 0, 1)
      + IF(is_home IS NULL, 0, 1)
      + IF(rest_days IS NULL, 0, 1)
      + IF(back_to_back IS NULL, 0, 1)
      + IF(games_last_7_days IS NULL, 0, 1)
      + IF(fatigue_score IS NULL, 0, 1)
      + IF(opponent_defense_score IS NULL, 0, 1)
      + IF(shot_matchup_score IS NULL, 0, 1)
      + IF(pace_score IS NULL, 0, 1)
      + IF(usage_trend IS NULL, 0, 1)
      + IF(composite_score IS NULL, 0, 1)
      + IF(two_rate IS NULL, 0, 1)
      + IF(three_rate IS NULL, 0, 1)
      + IF(ft_points_share IS NULL, 0, 1)
      + IF(team_offensive_rating IS NULL, 0, 1)
      + IF(team_pace IS NULL, 0, 1)
      + IF(opponent_defensive_rating IS NULL, 0, 1)
      + IF(opponent_pace IS NULL, 0, 1)
      + IF(opponent_fg3_pct_allowed IS NULL, 0, 1)
      + IF(opponent_rest_days IS NULL, 0, 1)
    ) AS feature_count
  FROM features
)
SELECT
  game_date,
  game_id,
  season,
  player_id,
  player_lookup,
  team,
  opponent,
  points_avg_l5,
  points_avg_l10,
  points_avg_l15,
  points_std_l10,
  points_last_game,
  minutes_avg_l5,
  minutes_avg_l10,
  minutes_last_game,
  reb_avg_l10,
  ast_avg_l10,
  usage_avg_l5,
  usage_avg_l15,
  points_share,
  is_home,
  rest_days,
  back_to_back,
  games_last_7_days,
  fatigue_score,
  opponent_defense_score,
  shot_matchup_score,
  pace_score,
  usage_trend,
  composite_score,
  two_rate,
  three_rate,
  ft_points_share,
  team_offensive_rating,
  team_pace,
  opponent_defensive_rating,
  opponent_pace,
  opponent_fg3_pct_allowed,
  opponent_rest_days,
  points_line,
  feature_count,
  completeness_pct,
  -- Seven parts the share of features that are known, three parts the player's completeness.
  ROUND(70 * feature_count / 32 + 0.3 * COALESCE(completeness_pct, 0), 2) AS quality_score
FROM counted
