/* SPDX-License-Identifier: ISC */
/* Parameters of MAIL and RCPT: RFC 2852, 4865, 6710, 7293 and 8689. */
#include <string.h>

#include "common/proto/date.h"
#include "smtpd/smtp_parse_int.h"

#define SECONDS_DIGITS 9

/* 1*9DIGIT */
static int
parse_seconds(const char *p, size_t len, int32_t *out)
{
	int32_t v = 0;

	if (len == 0 || len > SECONDS_DIGITS)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	*out = v;
	return 0;
}

/* date-time of RFC 3339 without fractions, with "T". */
static int
parse_time(const char *p, size_t len, struct date *out)
{
	if (len < 20 || p[10] == ' ' || p[19] == '.')
		return -1;
	return date_parse_iso(p, len, out);
}

/* One of the two hold-params; the words of it are what a report will show. */
static enum smtp_reply
keep_hold(struct smtp_command *cmd, const char *kind, struct cursor value)
{
	size_t n = strlen(kind);

	if (cmd->hold[0] != '\0' || n + value.len > SMTP_HOLD_MAX)
		return SMTP_REPLY_BAD_PARAMETER;
	memcpy(cmd->hold, kind, n);
	memcpy(cmd->hold + n, value.p, value.len);
	cmd->hold[n + value.len] = '\0';
	return SMTP_REPLY_NONE;
}

enum smtp_reply
smtp_parse_holdfor(struct smtp_command *cmd, struct cursor value)
{
	if (parse_seconds(value.p, value.len, &cmd->hold_for) == -1 || cmd->hold_for == 0)
		return SMTP_REPLY_BAD_PARAMETER;
	return keep_hold(cmd, "for;", value);
}

enum smtp_reply
smtp_parse_holduntil(struct smtp_command *cmd, struct cursor value)
{
	struct date d;

	/* RFC 4865, 3: in UTC. */
	if (parse_time(value.p, value.len, &d) == -1 || d.zone_min != 0)
		return SMTP_REPLY_BAD_PARAMETER;
	cmd->hold_until = d.time;
	return keep_hold(cmd, "until;", value);
}

enum smtp_reply
smtp_parse_by(struct smtp_command *cmd, struct cursor value)
{
	const char *p = value.p;
	size_t len = value.len, digits;
	int negative = 0;

	if (len > 0 && (*p == '-' || *p == '+')) {
		negative = *p == '-';
		p++;
		len--;
	}
	for (digits = 0; digits < len && p[digits] != ';';)
		digits++;
	if (parse_seconds(p, digits, &cmd->by) == -1 || len < digits + 2 ||
	    len > digits + 3)
		return SMTP_REPLY_BAD_PARAMETER;
	if (negative)
		cmd->by = -cmd->by;
	p += digits + 1;
	len -= digits + 1;
	cmd->by_mode = (uint8_t)(*p & ~0x20);
	if (cmd->by_mode != 'R' && cmd->by_mode != 'N')
		return SMTP_REPLY_BAD_PARAMETER;
	if (len == 2) {
		if ((p[1] & ~0x20) != 'T')
			return SMTP_REPLY_BAD_PARAMETER;
		cmd->by_trace = 1;
	}
	return cmd->by_mode == 'R' && cmd->by <= 0 ? SMTP_REPLY_BAD_PARAMETER
						   : SMTP_REPLY_NONE;
}

enum smtp_reply
smtp_parse_priority(struct smtp_command *cmd, struct cursor value)
{
	int negative = value.len == 2 && *value.p == '-';
	char digit;

	if (value.len != (negative ? 2 : 1))
		return SMTP_REPLY_BAD_PARAMETER;
	digit = value.p[value.len - 1];
	if (digit < (negative ? '1' : '0') || digit > '9')
		return SMTP_REPLY_BAD_PARAMETER;
	cmd->priority = (int8_t)(negative ? '0' - digit : digit - '0');
	cmd->has_priority = 1;
	return SMTP_REPLY_NONE;
}

enum smtp_reply
smtp_parse_requiretls(struct smtp_command *cmd, struct cursor value)
{
	if (value.p != NULL)
		return SMTP_REPLY_BAD_PARAMETER;
	cmd->require_tls = 1;
	return SMTP_REPLY_NONE;
}

enum smtp_reply
smtp_parse_rrvs(struct smtp_command *cmd, struct cursor value)
{
	struct date d;

	cmd->rrvs_action = 'R';
	if (value.len > 2 && value.p[value.len - 2] == ';') {
		cmd->rrvs_action = (uint8_t)(value.p[value.len - 1] & ~0x20);
		if (cmd->rrvs_action != 'R' && cmd->rrvs_action != 'C')
			return SMTP_REPLY_BAD_PARAMETER;
		value.len -= 2;
	}
	if (parse_time(value.p, value.len, &d) == -1)
		return SMTP_REPLY_BAD_PARAMETER;
	cmd->rrvs = d.time;
	return SMTP_REPLY_NONE;
}
