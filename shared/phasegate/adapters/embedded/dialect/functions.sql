-- Functions of BigQuery as DuckDB macros, called `bq.name(...)` by what the translator writes.
--
-- TIMESTAMP is TIMESTAMPTZ here, DATETIME is TIMESTAMP, sessions run in UTC. DuckDB lets no `error()` stand within TRY() nor
-- in the ORDER BY of a window: what is to fail is a cast of the reason, in the place of a number, a date or a text.
CREATE MACRO bq.main.fail(reason) AS CAST(reason AS TINYINT);
CREATE MACRO bq.main.no_date(reason) AS CAST(reason AS DATE);
CREATE MACRO bq.main.no_text(reason) AS CAST(CAST(reason AS TINYINT) AS VARCHAR);

-- Time zones: a name of the tz database, or an offset as BigQuery writes it: +05:30, -8, UTC+3.
CREATE MACRO bq.main.is_offset(zone) AS regexp_full_match(zone, '(UTC)?[+-]\d{1,2}(:?\d{2})?');
CREATE MACRO bq.main.offset_minutes(zone) AS
    CASE WHEN regexp_matches(zone, '-') THEN -1 ELSE 1 END
    * (CAST(regexp_extract(zone, '[+-](\d{1,2})', 1) AS INTEGER) * 60
       + coalesce(TRY_CAST(nullif(regexp_extract(zone, '[+-]\d{1,2}:?(\d{2})$', 1), '') AS INTEGER), 0));
-- The wall clock (DATETIME) of an instant in a zone.
CREATE MACRO bq.main.local(x, zone) AS
    CASE WHEN bq.is_offset(zone) THEN (x AT TIME ZONE 'UTC') + to_minutes(bq.offset_minutes(zone))
         ELSE x AT TIME ZONE (CASE WHEN bq.is_offset(zone) THEN 'UTC' ELSE zone END) END;
-- Where a wall clock shows a time twice, the earlier instant is meant; DuckDB takes the later one.
CREATE MACRO bq.main.earlier(later, x, zone) AS
    CASE WHEN (later - INTERVAL 1 HOUR) AT TIME ZONE zone = x THEN later - INTERVAL 1 HOUR ELSE later END;

-- Parts of a date. first: 0 where the week begins on Monday, 6 where it does on Sunday.
CREATE MACRO bq.main.week(x, first) AS (dayofyear(x) + 6 - (isodow(x) + 6 - first) % 7) // 7;
CREATE MACRO bq.main.week_trunc(x, first) AS date_trunc('week', x - to_days(first)) + to_days(first);
-- Points in time: what is beyond the years 1 to 9999 is none.
CREATE MACRO bq.main.as_date(x) AS CAST(bq.in_years(x) AS DATE);
CREATE MACRO bq.main.in_years(x) AS
    list_transform([x], lambda v:
        CASE WHEN v < DATE '0001-01-01' OR v >= DATE '10000-01-01' THEN bq.no_date('a point in time beyond the years 1 to 9999')
             ELSE v END)[1];
CREATE MACRO bq.main.last_day_isoyear(x) AS
    CAST(date_trunc('isoyear', date_trunc('isoyear', x) + INTERVAL 372 DAY) - INTERVAL 1 DAY AS DATE);
CREATE MACRO bq.main.time_trunc(part, x) AS CAST(date_trunc(part, DATE '1970-01-01' + x) AS TIME);

-- Points in time as text: a fraction has three digits, or six; an offset has minutes where it needs them.
CREATE MACRO bq.main.fraction(x) AS
    CASE WHEN microsecond(x) % 1000000 = 0 THEN ''
         WHEN microsecond(x) % 1000 = 0 THEN '.' || lpad(CAST(microsecond(x) % 1000000 // 1000 AS VARCHAR), 3, '0')
         ELSE '.' || lpad(CAST(microsecond(x) % 1000000 AS VARCHAR), 6, '0') END;
CREATE MACRO bq.main.minutes_of(x, zone) AS date_diff('minute', x AT TIME ZONE 'UTC', bq.local(x, zone));
CREATE MACRO bq.main.two(n) AS lpad(CAST(n AS VARCHAR), 2, '0');
CREATE MACRO bq.main.offset_text(minutes, between) AS
    CASE WHEN minutes < 0 THEN '-' ELSE '+' END || bq.two(abs(minutes) // 60) || between || bq.two(abs(minutes) % 60);
CREATE MACRO bq.main.short_offset(minutes) AS
    CASE WHEN minutes < 0 THEN '-' ELSE '+' END || bq.two(abs(minutes) // 60)
    || CASE WHEN minutes % 60 = 0 THEN '' ELSE ':' || bq.two(abs(minutes) % 60) END;
CREATE MACRO bq.main.zone_name(minutes) AS
    CASE WHEN minutes = 0 THEN 'UTC' ELSE 'UTC' || regexp_replace(bq.short_offset(minutes), '^([+-])0', '\1') END;
-- BigQuery writes a year below 1000 with less digits, in some formats.
CREATE MACRO bq.main.modern(x) AS
    CASE WHEN year(x) < 1000 OR year(x) > 9999 THEN bq.no_date('a format of a year before 1000 or after 9999') ELSE x END;
CREATE MACRO bq.main.datetime_text(x) AS strftime(x, '%Y-%m-%d %H:%M:%S') || bq.fraction(x);
CREATE MACRO bq.main.timestamp_text(x, zone) AS
    bq.datetime_text(bq.local(x, zone)) || bq.short_offset(bq.minutes_of(x, zone));
CREATE MACRO bq.main.time_text(x) AS left(CAST(x AS VARCHAR), 8) || bq.fraction(x);

-- Numbers.
CREATE MACRO bq.main.divisor(x) AS CASE WHEN x = 0 THEN bq.fail('division by zero') ELSE x END;
CREATE MACRO bq.main.numeric(x) AS CAST(round(x, 9) AS DECIMAL(38, 9));
-- Of a FLOAT64, all of whose digits decide.
CREATE MACRO bq.main.float_to_numeric(x) AS CAST(printf('%.25f', x + 0e0) AS DECIMAL(38, 9));
CREATE MACRO bq.main.safe_float_to_numeric(x) AS TRY_CAST(printf('%.25f', x + 0e0) AS DECIMAL(38, 9));
-- DuckDB divides DECIMAL as DOUBLE, which has 16 digits. Whole numbers of billionths are divided here.
CREATE MACRO bq.main.billionths(x) AS CAST(CAST(x AS DECIMAL(38, 9)) * 1000000000 AS HUGEINT);
CREATE MACRO bq.main.decimal_quotient(x, y) AS
    list_transform([{'x': bq.billionths(x), 'y': bq.billionths(y)}], lambda v:
        CAST(CASE WHEN (v['x'] < 0) = (v['y'] < 0) THEN 1 ELSE -1 END
             * ((abs(v['x']) * 2000000000 + abs(v['y'])) // (2 * abs(v['y']))) AS DECIMAL(38, 0))
        * CAST(0.000000001 AS DECIMAL(10, 9)))[1];
CREATE MACRO bq.main.decimal_div(x, y) AS CAST(bq.billionths(x) // bq.billionths(y) AS DECIMAL(38, 9));
CREATE MACRO bq.main.div(x, y) AS x // bq.divisor(y);
-- Arithmetic of FLOAT64. Each names its arguments once: DuckDB puts them in a macro's text, and nested ones would double.
CREATE MACRO bq.main.within_float64(result, x, y) AS
    CASE WHEN isinf(result) AND isfinite(x) AND isfinite(y) THEN CAST('a number beyond FLOAT64' AS TINYINT) ELSE result END;
CREATE MACRO bq.main.add(x, y) AS list_reduce([x, y], lambda a, b: bq.within_float64(a + b, a, b));
CREATE MACRO bq.main.subtract(x, y) AS list_reduce([x, y], lambda a, b: bq.within_float64(a - b, a, b));
CREATE MACRO bq.main.multiply(x, y) AS list_reduce([x, y], lambda a, b: bq.within_float64(a * b, a, b));
CREATE MACRO bq.main.quotient(x, y) AS list_reduce([x, y], lambda a, b: bq.within_float64(a / bq.divisor(b), a, b));
CREATE MACRO bq.main.rounded(x, places) AS
    list_transform([{'x': x, 'n': places}], lambda v:
        CASE WHEN v['n'] < 0 AND v['n'] >= -308 AND abs(v['x']) > 1e307 AND isfinite(v['x']) THEN bq.fail('rounded beyond FLOAT64')
             ELSE round(v['x'], CAST(v['n'] AS INTEGER)) END)[1];
-- unbounded: the sum of those values alone that are infinite or NaN.
CREATE MACRO bq.main.total(sum, unbounded) AS
    list_transform([{'s': sum, 'u': unbounded}], lambda v:
        CASE WHEN v['s'] IS NULL OR isfinite(v['s']) THEN v['s']
             WHEN v['u'] IS NULL THEN bq.fail('a sum beyond FLOAT64') ELSE v['u'] END)[1];
CREATE MACRO bq.main.average(x) AS
    list_transform([x], lambda v:
        CASE WHEN isinf(v) THEN bq.fail('an average beyond FLOAT64, or of infinite values') ELSE v END)[1];
CREATE MACRO bq.main.spread(result, has_no_number) AS
    list_transform([{'r': result, 'n': has_no_number}], lambda v:
        CASE WHEN v['r'] IS NULL THEN NULL WHEN v['n'] THEN CAST('nan' AS DOUBLE)
             WHEN isfinite(v['r']) THEN v['r'] ELSE bq.fail('beyond FLOAT64 on the way') END)[1];
-- result: what DuckDB makes of x and y; infinite or NaN from finite arguments is an error.
CREATE MACRO bq.main.finite(result, x, y) AS
    CASE WHEN NOT isfinite(result) AND isfinite(CAST(x AS DOUBLE)) AND isfinite(CAST(y AS DOUBLE))
         THEN bq.fail('a floating point error: no number comes of it') ELSE result END;
CREATE MACRO bq.main.power(x, y) AS
    list_reduce([CAST(x AS DOUBLE), CAST(y AS DOUBLE)], lambda a, b: bq.finite(pow(a, b), a, b));
-- A quotient beyond FLOAT64 is NULL where the dividend is a number.
CREATE MACRO bq.main.safe_quotient(x, y) AS
    list_reduce([CAST(x AS DOUBLE), y], lambda a, b: CASE WHEN NOT (isinf(a / b) AND isfinite(a)) THEN a / b END);
CREATE MACRO bq.main.log(x, base) AS
    list_transform([{'x': x, 'b': base}], lambda v:
        CASE WHEN isinf(CAST(v['b'] AS DOUBLE)) THEN CAST('nan' AS DOUBLE)
             ELSE bq.finite(log(bq.positive(v['b']), v['x']), v['x'], v['b']) END)[1];
CREATE MACRO bq.main.not_negative(x) AS CASE WHEN x < 0 THEN bq.fail('the root of a negative number') ELSE x END;
CREATE MACRO bq.main.positive(x) AS CASE WHEN x <= 0 THEN bq.fail('the logarithm of 0 or less') ELSE x END;
CREATE MACRO bq.main.exponent(x) AS
    CASE WHEN x > 709.782712893384e0 AND isfinite(CAST(x AS DOUBLE)) THEN bq.fail('beyond FLOAT64') ELSE x END;
-- For FORMAT: -0.0 has no sign there, and DuckDB does not write all the digits of larger numbers.
CREATE MACRO bq.main.printable(x) AS
    CASE WHEN isfinite(x) AND abs(x) >= 1e50 THEN bq.fail('FORMAT of a number with more than 50 digits') ELSE x + 0e0 END;
-- NULL for a text that is no INT64.
CREATE MACRO bq.main.whole_of_text(x) AS
    CASE WHEN regexp_full_match(x, '\s*([+-]?\d+|\+?0[xX][0-9a-fA-F]+)\s*') THEN x
         WHEN regexp_full_match(x, '\s*-0[xX][0-9a-fA-F]+\s*')
         THEN '-' || CAST(CAST(replace(trim(x), '-', '') AS BIGINT) AS VARCHAR) END;
-- The error is that of DuckDB's cast; a negative hexadecimal number, which BigQuery takes, is one too.
CREATE MACRO bq.main.text_to_whole(x) AS
    CAST(CASE WHEN regexp_full_match(x, '\s*([+-]?\d+|\+?0[xX][0-9a-fA-F]+)\s*') THEN x
              ELSE 'no INT64: ' || x END AS BIGINT);
CREATE MACRO bq.main.float_to_whole(x) AS CAST(round(x) AS BIGINT);
CREATE MACRO bq.main.shortest(x) AS
    CASE WHEN CAST(printf('%.15g', x + 0e0) AS DOUBLE) = x THEN printf('%.15g', x + 0e0) ELSE printf('%.17g', x + 0e0) END;
CREATE MACRO bq.main.float_text(x) AS
    CASE WHEN isnan(x) THEN 'nan' WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'inf' ELSE '-inf' END ELSE bq.shortest(x) END;
CREATE MACRO bq.main.numeric_text(x) AS regexp_replace(CAST(CAST(x AS DECIMAL(38, 9)) AS VARCHAR), '\.?0+$', '');
CREATE MACRO bq.main.float_of_text(x) AS
    CASE WHEN regexp_full_match(x, '\s*[+-]?0[xX][0-9a-fA-F]+\s*')
         THEN CAST(CAST(regexp_replace(trim(x), '^[+-]', '') AS BIGINT) * CASE WHEN trim(x) LIKE '-%' THEN -1 ELSE 1 END AS VARCHAR)
         WHEN contains(x, '_') THEN 'no FLOAT64' ELSE x END;
CREATE MACRO bq.main.text_to_bool(x) AS
    CASE lower(x) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE
         ELSE CASE WHEN x IS NOT NULL THEN CAST('a text that is no BOOL: ''' || x || '''' AS BOOLEAN) END END;
CREATE MACRO bq.main.safe_text_to_bool(x) AS CASE lower(x) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END;
-- Only texts in the form that BigQuery takes; form: a regular expression.
CREATE MACRO bq.main.in_form(x, form) AS
    CASE WHEN x IS NULL OR regexp_full_match(x, form) THEN x ELSE bq.no_text('not in the form that a cast takes: ''' || x || '''') END;
CREATE MACRO bq.main.safe_in_form(x, form) AS CASE WHEN regexp_full_match(x, form) THEN x END;
-- NaN equals nothing, and is neither greater nor less; beside NULL it is NULL.
CREATE MACRO bq.main.same(x, y) AS x = y AND (NOT isnan(x) OR y IS NULL);
CREATE MACRO bq.main.other(x, y) AS x <> y OR (isnan(x) AND y IS NOT NULL);
CREATE MACRO bq.main.greater(x, y) AS x > y AND (NOT isnan(x) OR y IS NULL);
CREATE MACRO bq.main.not_less(x, y) AS x >= y AND (NOT isnan(x) OR y IS NULL);
CREATE MACRO bq.main.between(x, low, high) AS
    list_transform([{'x': x, 'l': low, 'h': high}], lambda v: bq.not_less(v['x'], v['l']) AND bq.not_less(v['h'], v['x']))[1];

-- Texts.
CREATE MACRO bq.main.first_of(x, start) AS CASE WHEN start = 0 OR start < -length(x) THEN 1 ELSE start END;
CREATE MACRO bq.main.length_of(n) AS CASE WHEN n < 0 THEN bq.fail('a negative length') ELSE n END;
CREATE MACRO bq.main.pattern(x) AS CASE WHEN x = '' THEN bq.no_text('padding with an empty text') ELSE x END;
CREATE MACRO bq.main.code_points(x) AS list_transform(string_split(x, ''), lambda c: CAST(unicode(c) AS BIGINT));

CREATE MACRO bq.main.reversed(x) AS
    CASE WHEN x IS NOT NULL THEN coalesce(array_to_string(list_reverse(regexp_extract_all(x, '(?s).')), ''), '') END;
CREATE MACRO bq.main.ascii(x) AS
    CASE WHEN unicode(x) > 127 THEN bq.fail('a character beyond ASCII') WHEN x = '' THEN 0 ELSE CAST(unicode(x) AS BIGINT) END;

-- Bits of an INT64: zeros come in, from both sides.
CREATE MACRO bq.main.shifted(result, n) AS
    CASE WHEN n < 0 THEN bq.fail('a negative shift') WHEN n > 63 THEN 0 ELSE CAST(result AS BIGINT) END;

CREATE MACRO bq.main.json_text(x, type) AS
    CASE WHEN type = 'DOUBLE' THEN bq.no_text('JSON_VALUE of a number with a fraction: cast it to a number') ELSE x END;

CREATE MACRO bq.main.with_plain_numbers(x) AS
    CASE WHEN regexp_matches(x, '\d\.\d+0([^\d.eE]|$)|\d[eE]|\d{19}')
         THEN bq.no_text('JSON_QUERY beside a number with an exponent, a last zero or 19 digits: write JSON_VALUE') ELSE x END;

-- Arrays and aggregates.
CREATE MACRO bq.main.step(x) AS CASE WHEN x = 0 THEN bq.fail('a step of zero') ELSE x END;
CREATE MACRO bq.main.range_bucket(x, bounds) AS
    list_transform([{'x': x, 'b': bounds}], lambda v:
        CASE WHEN v['x'] IS NOT NULL THEN len(list_filter(v['b'], lambda bound: bound <= v['x'])) END)[1];
CREATE MACRO bq.main.element(list, place) AS
    list_extract(list, CASE WHEN list IS NULL OR place BETWEEN 1 AND len(list) THEN place
                            ELSE CAST('an array index out of bounds: ' || CAST(place AS VARCHAR) AS BIGINT) END);
-- DuckDB counts a negative place from the end.
CREATE MACRO bq.main.safe_element(list, place) AS CASE WHEN place > 0 THEN list_extract(list, place) END;
CREATE MACRO bq.main.without_nan(list) AS list_filter(list, lambda value: value IS NULL OR NOT isnan(value));
