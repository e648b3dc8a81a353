/* SPDX-License-Identifier: ISC */
/* Bounces and commands; see content.h. */
#include "listd/content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "common/proto/listpost.h"
#include "common/proto/mime.h"

#define COMMAND_LINES 8

/* ---- bounces ---- */

static int
field(const char *buf, size_t len, const char *name, char *out, size_t cap)
{
	struct header_field f;

	out[0] = '\0';
	if (header_get(buf, len, name, 0, &f) == -1)
		return -1;
	header_unfold(f.value, f.value_len, out, cap);
	return 0;
}

/* A group of fields for a recipient (RFC 3464, 2.3): the worst that was said counts. */
static enum bounce_kind
read_group(const char *buf, size_t len, char *why, size_t cap)
{
	char action[40], status[60], words[300];
	enum bounce_kind kind;

	if (field(buf, len, "Action", action, sizeof(action)) == -1)
		return BOUNCE_NONE; /* the fields of the message */
	action[strcspn(action, " \t;(")] = '\0';
	if (strcasecmp(action, "failed") != 0)
		return BOUNCE_NONE;
	(void)field(buf, len, "Status", status, sizeof(status));
	status[strcspn(status, " \t(")] = '\0';
	(void)field(buf, len, "Diagnostic-Code", words, sizeof(words));
	if (status[0] == '2')
		return BOUNCE_NONE;
	kind = listpost_is_hard(status) ? BOUNCE_HARD : BOUNCE_SOFT;
	snprintf(why, cap, "%s%s%.150s", status, words[0] != '\0' ? " " : "", words);
	return kind;
}

static enum bounce_kind
read_status(const char *buf, size_t len, char *why, size_t cap)
{
	enum bounce_kind worst = BOUNCE_NONE;
	char words[300];

	while (len > 0) {
		size_t n = header_section_len(buf, len);
		enum bounce_kind k;

		if (n == 0)
			break;
		k = read_group(buf, n, words, sizeof(words));
		if (k > worst) {
			worst = k;
			strlcpy(why, words, cap);
		}
		buf += n;
		len -= n;
	}
	return worst;
}

enum bounce_kind
content_bounce(const char *buf, size_t len, char *why, size_t cap)
{
	struct mime_tree *t = mime_parse(buf, len, NULL);
	enum bounce_kind kind = BOUNCE_NONE;
	char value[200];
	int found = 0;

	why[0] = '\0';
	if (t == NULL)
		return BOUNCE_NONE;
	for (unsigned int i = 0; i < t->nparts && !found; i++) {
		const struct mime_part *p = &t->parts[i];

		if (strcmp(p->type, "message") != 0 ||
		    (strcmp(p->subtype, "delivery-status") != 0 &&
			strcmp(p->subtype, "global-delivery-status") != 0))
			continue;
		found = 1;
		if (p->cte != CTE_BASE64 && p->cte != CTE_QP)
			kind = read_status(
			    buf + p->body_off, p->body_end - p->body_off, why, cap);
		else {
			strlcpy(why, "a report that is encoded", cap);
			kind = BOUNCE_SOFT;
		}
	}
	mime_free(t);
	if (found)
		return kind;
	/* An answer of a person on leave is none; anything else is taken for one, since
	 * this address is for nothing else. */
	if (field(buf, len, "Auto-Submitted", value, sizeof(value)) == 0 &&
	    strncasecmp(value, "auto-replied", 12) == 0 &&
	    field(buf, len, "X-Failed-Recipients", value, sizeof(value)) == -1)
		return BOUNCE_NONE;
	if (field(buf, len, "Precedence", value, sizeof(value)) == 0 &&
	    strcasecmp(value, "auto_reply") == 0)
		return BOUNCE_NONE;
	(void)field(buf, len, "Subject", value, sizeof(value));
	snprintf(why, cap, "a message without a report: %.150s", value);
	return BOUNCE_SOFT;
}

/* ---- words and commands ---- */

static size_t
decode(const char *buf, const struct mime_part *p, char *out, size_t cap)
{
	struct cte_decoder d;
	size_t at = 0, len = p->body_end - p->body_off, n = 0;

	cte_init(&d, p->cte);
	while (at < len && cap - n > 512) {
		size_t used, made;

		cte_feed(
		    &d, buf + p->body_off + at, len - at, out + n, cap - n, &used, &made);
		at += used;
		n += made;
		if (used == 0 && made == 0)
			break;
	}
	if (cap - n > 512)
		n += cte_finish(&d, out + n, cap - n);
	return n;
}

/* "-- ", of which a transfer encoding may have taken the blank. */
static int
is_mark(const char *line, size_t len)
{
	while (len > 0 && strchr(" \r\n", line[len - 1]) != NULL)
		len--;
	return len == 2 && line[0] == '-' && line[1] == '-';
}

size_t
content_words(const char *buf, size_t len, char *out, size_t cap)
{
	struct mime_tree *t = mime_parse(buf, len, NULL);
	static char text[8192];
	size_t n = 0, k = 0;

	out[0] = '\0';
	if (t == NULL)
		return 0;
	for (unsigned int i = 0; i < t->nparts; i++) {
		const struct mime_part *p = &t->parts[i];

		if (p->kind != MIME_LEAF || strcmp(p->type, "text") != 0 ||
		    strcmp(p->subtype, "plain") != 0)
			continue;
		n = decode(buf, p, text, sizeof(text));
		break;
	}
	mime_free(t);
	for (size_t i = 0; i < n && k + 1 < cap;) {
		const char *nl = memchr(text + i, '\n', n - i);
		size_t end = nl != NULL ? (size_t)(nl - text) + 1 : n;

		/* Not what is quoted, nor what follows the mark of a signature. */
		if (is_mark(text + i, end - i))
			break;
		for (int quoted = text[i] == '>'; i < end && k + 1 < cap; i++)
			if (!quoted && text[i] != '\r' && text[i] != '\0')
				out[k++] = text[i];
		i = end;
	}
	out[k] = '\0';
	if (!utf8_valid(out, k))
		for (size_t i = 0; i < k; i++)
			if ((unsigned char)out[i] > 127)
				out[i] = '?';
	return k;
}

static enum command
command_of(const char *line, char *arg, size_t cap)
{
	static const struct {
		const char *word;
		enum command command;
	} words[] = {
		{ "help", COMMAND_HELP },
		{ "info", COMMAND_HELP },
		{ "subscribe", COMMAND_JOIN },
		{ "join", COMMAND_JOIN },
		{ "unsubscribe", COMMAND_LEAVE },
		{ "leave", COMMAND_LEAVE },
		{ "remove", COMMAND_LEAVE },
		{ "confirm", COMMAND_CONFIRM },
	};
	size_t len;

	while (strncasecmp(line, "re:", 3) == 0)
		line += 3 + strspn(line + 3, " \t");
	len = strcspn(line, " \t\n");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!ascii_equal(line, len, words[i].word))
			continue;
		line += len;
		line += strspn(line, " \t");
		len = strcspn(line, " \t\n");
		if (len >= cap)
			return COMMAND_NONE;
		memcpy(arg, line, len);
		arg[len] = '\0';
		return words[i].command;
	}
	return COMMAND_NONE;
}

enum command
content_command(const char *buf, size_t len, const char *subject, char *arg, size_t cap)
{
	static char words[4096];
	enum command c = command_of(subject, arg, cap);
	char *p = words, *line;

	arg[c == COMMAND_NONE ? 0 : strlen(arg)] = '\0';
	if (c != COMMAND_NONE)
		return c;
	(void)content_words(buf, len, words, sizeof(words));
	for (int n = 0; n < COMMAND_LINES && (line = strsep(&p, "\n")) != NULL;) {
		line += strspn(line, " \t");
		if (*line == '\0')
			continue;
		if ((c = command_of(line, arg, cap)) != COMMAND_NONE)
			return c;
		n++;
	}
	arg[0] = '\0';
	return COMMAND_NONE;
}
