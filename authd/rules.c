/* SPDX-License-Identifier: ISC */
/* Settings of a user as Sieve (RFC 5228, RFC 5230, RFC 5232); see rules.h. */
#include "authd/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

/* ---- texts of settings ---- */

void
rules_text(const char *s, char *out, size_t cap)
{
	size_t n = 0;

	for (; *s != '\0' && n + 1 < cap; s++) {
		out[n] = *s;
		if (*s == '\\' && (s[1] == 's' || s[1] == 'b'))
			out[n] = *++s == 's' ? ' ' : '\\';
		n++;
	}
	out[n] = '\0';
}

const char *
rules_encode_text(char *out, size_t cap, const char *value)
{
	size_t n = 0;

	if (!utf8_valid(value, strlen(value)))
		return "expected UTF-8";
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '\r')
			continue;
		if (c != '\n' && (c < 0x20 || c == 0x7f))
			return "expected text without control characters";
		if (n + 3 > cap)
			return "the text is too long";
		if (c == '\n' || c == ' ' || c == '\\')
			out[n++] = '\\';
		out[n++] = c == '\n' ? 'n' : c == ' ' ? 's' : c == '\\' ? 'b' : *value;
	}
	out[n] = '\0';
	return NULL;
}

/* ---- the script ---- */

struct script {
	char *out;
	size_t n;
	int full;
};

static void __attribute__((format(printf, 2, 3)))
put(struct script *s, const char *fmt, ...)
{
	size_t room = RULES_SCRIPT_MAX + 1 - s->n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->out + s->n, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		s->full = 1;
	else
		s->n += (size_t)n;
}

/* A quoted string of Sieve, of a text as it is. */
static void
put_string(struct script *s, const char *text)
{
	put(s, "\"");
	for (; *text != '\0'; text++)
		put(s, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	put(s, "\"");
}

/* The same of a text as it is encoded. */
static void
put_encoded(struct script *s, const char *text)
{
	put(s, "\"");
	for (; *text != '\0'; text++) {
		char c = *text;

		if (c == '\\' && text[1] == 'n') {
			put(s, "\r\n");
			text++;
			continue;
		}
		if (c == '\\' && (text[1] == 's' || text[1] == 'b'))
			c = *++text == 's' ? ' ' : '\\';
		put(s, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	put(s, "\"");
}

static void
put_rule(struct script *s, const struct rule *r, int first)
{
	static const char *const fields[] = { "\"from\"", "[\"to\", \"cc\"]",
		"\"subject\"" };

	put(s, "%sif header :contains ", first ? "" : "els");
	if (r->field == RULE_IF_HEADER)
		put_string(s, r->header);
	else
		put(s, "%s", fields[r->field]);
	put(s, " ");
	put_string(s, r->needle);
	put(s, " { ");
	switch (r->action) {
	case RULE_FOLDER:
		put(s, "fileinto :create ");
		put_string(s, r->argument);
		put(s, ";");
		break;
	case RULE_JUNK:
		put(s, "fileinto :create \"Junk\";");
		break;
	case RULE_FLAG:
		put(s, "keep :flags \"\\\\Flagged\";");
		break;
	case RULE_READ:
		put(s, "keep :flags \"\\\\Seen\";");
		break;
	case RULE_DISCARD:
		put(s, "discard; stop;"); /* no answer either */
		break;
	case RULE_FORWARD:
		put(s, "redirect ");
		put_string(s, r->argument);
		put(s, ";");
		break;
	case RULE_COPY:
		put(s, "redirect :copy ");
		put_string(s, r->argument);
		put(s, ";");
		break;
	}
	put(s, " }\r\n");
}

/* Is there more in the list than "|NAME"s? */
static int
has_address(const struct user *u)
{
	for (const char *p = u->forward; *p != '\0'; p += strspn(p, ", ")) {
		if (*p != '|')
			return 1;
		p += strcspn(p, ", ");
	}
	return 0;
}

int
rules_only_commands(const struct user *u)
{
	return u->forward[0] != '\0' && !has_address(u) && u->vacation[0] == '\0' &&
	       u->rules[0] == '\0';
}

int
rules_keep_nothing(const struct user *u)
{
	const char *at = u->rules;
	struct rule r;

	if (u->forward[0] == '\0' || u->forward_keep)
		return 0;
	while (rules_next(&at, &r))
		if (r.action != RULE_DISCARD && r.action != RULE_FORWARD)
			return 0;
	return 1;
}

int
rules_script(const struct user *u, char out[RULES_SCRIPT_MAX + 1])
{
	struct script s = { .out = out };
	char list[sizeof(u->forward)], *rest = list, *word;
	const char *at = u->rules;
	struct rule r;
	int first = 1;

	out[0] = '\0';
	if (u->vacation[0] == '\0' && u->rules[0] == '\0' && u->forward[0] == '\0')
		return 0;
	put(&s, "require [\"vacation\", \"copy\", \"fileinto\", \"mailbox\", "
		"\"imap4flags\"];\r\n");
	while (rules_next(&at, &r)) {
		put_rule(&s, &r, first);
		first = 0;
	}
	if (u->vacation[0] != '\0') {
		put(&s, "vacation ");
		if (u->vacation_subject[0] != '\0') {
			put(&s, ":subject ");
			put_encoded(&s, u->vacation_subject);
			put(&s, " ");
		}
		put_encoded(&s, u->vacation);
		put(&s, ";\r\n");
	}
	strlcpy(list, u->forward, sizeof(list));
	while ((word = strsep(&rest, ", ")) != NULL) {
		if (*word == '\0' || *word == '|')
			continue;
		put(&s, "redirect :copy ");
		put_string(&s, word);
		put(&s, ";\r\n");
	}
	/* What goes elsewhere alone is not for the user's own script. */
	if (u->forward[0] != '\0' && !u->forward_keep)
		put(&s, "discard;\r\n");
	if (s.full) {
		out[0] = '\0';
		return -1;
	}
	return (int)s.n;
}

/* ---- simple rules ---- */

static const char *const field_words[] = { "from", "to", "subject", "header:" };
static const char *const action_words[] = { "folder", "junk", "flag", "read", "discard",
	"forward", "copy" };

static int
takes_argument(enum rule_action a)
{
	return a == RULE_FOLDER || a == RULE_FORWARD || a == RULE_COPY;
}

static int
is_field_name(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == ':' || s[i] == '"')
			return 0;
	return len > 0 && len < sizeof(((struct rule *)NULL)->header);
}

/* One line of text without what would end it. */
static int
is_text(const char *s, size_t max)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return 0;
	return len > 0 && len <= max && utf8_valid(s, len);
}

static int
parse_field(struct rule *r, const char *word)
{
	for (int i = RULE_IF_FROM; i < RULE_IF_HEADER; i++)
		if (strcmp(word, field_words[i]) == 0) {
			r->field = (enum rule_field_kind)i;
			return 0;
		}
	if (strncmp(word, "header:", 7) != 0 || !is_field_name(word + 7))
		return -1;
	r->field = RULE_IF_HEADER;
	strlcpy(r->header, word + 7, sizeof(r->header));
	return 0;
}

const char *
rule_parse(struct rule *r, int argc, char **argv)
{
	struct address a;
	size_t i;

	memset(r, 0, sizeof(*r));
	if (argc < 4 || strcmp(argv[1], "contains") != 0 || parse_field(r, argv[0]) == -1)
		return "expected from, to, subject or header:NAME, then contains TEXT, "
		       "then "
		       "folder NAME, junk, flag, read, discard, forward ADDRESS or copy "
		       "ADDRESS";
	if (!is_text(argv[2], RULES_NEEDLE_MAX))
		return "expected a text of 1 to 200 octets on one line";
	strlcpy(r->needle, argv[2], sizeof(r->needle));
	for (i = 0; i < sizeof(action_words) / sizeof(action_words[0]); i++)
		if (strcmp(argv[3], action_words[i]) == 0)
			break;
	if (i == sizeof(action_words) / sizeof(action_words[0]))
		return "expected folder, junk, flag, read, discard, forward or copy";
	r->action = (enum rule_action)i;
	if (argc != (takes_argument(r->action) ? 5 : 4))
		return takes_argument(r->action)
			   ? "expected a folder or an address behind it"
			   : "expected nothing behind that action";
	if (!takes_argument(r->action))
		return NULL;
	if (!is_text(argv[4], RULES_ARGUMENT_MAX))
		return "expected the name of a folder, or an address";
	if (r->action != RULE_FOLDER && address_parse(argv[4], strlen(argv[4]), &a) == -1)
		return "expected an address";
	strlcpy(r->argument, argv[4], sizeof(r->argument));
	return NULL;
}

void
rule_print(const struct rule *r, char *out, size_t cap)
{
	static const char *const fields[] = { "the sender", "a recipient",
		"the subject" };
	static const char *const actions[] = { "filed into ", "filed as junk", "flagged",
		"marked as read", "thrown away",
		"sent on, and not kept: ", "sent on, and kept: " };

	snprintf(out, cap, "%s%s contains \"%s\": %s%s",
	    r->field == RULE_IF_HEADER ? "the field " : fields[r->field],
	    r->field == RULE_IF_HEADER ? r->header : "", r->needle, actions[r->action],
	    r->argument);
}

/*
 * Kept as FIELD\,TEXT\,ACTION\,ARGUMENT\; and so on: the encoding of texts makes neither
 * "\," nor "\;".
 */
static int
take_part(const char **at, char *out, size_t cap)
{
	const char *end = *at;
	char part[RULES_ARGUMENT_MAX * 2 + 1];
	size_t len;

	while (*end != '\0' && !(end[0] == '\\' && (end[1] == ',' || end[1] == ';')))
		end += end[0] == '\\' && end[1] != '\0' ? 2 : 1;
	len = (size_t)(end - *at);
	if (*end == '\0' || len >= sizeof(part))
		return -1;
	memcpy(part, *at, len);
	part[len] = '\0';
	rules_text(part, out, cap);
	*at = end + 2;
	return 0;
}

int
rules_next(const char **at, struct rule *r)
{
	char field[80], needle[RULES_NEEDLE_MAX + 1], action[16],
	    argument[RULES_ARGUMENT_MAX + 1];
	char contains[] = "contains",
	     *words[] = { field, contains, needle, action, argument };

	if (**at == '\0' || take_part(at, field, sizeof(field)) == -1 ||
	    take_part(at, needle, sizeof(needle)) == -1 ||
	    take_part(at, action, sizeof(action)) == -1 ||
	    take_part(at, argument, sizeof(argument)) == -1)
		return 0;
	return rule_parse(r, argument[0] != '\0' ? 5 : 4, words) == NULL;
}

static int
add_part(char *out, size_t cap, const char *text, const char *end)
{
	char part[RULES_ARGUMENT_MAX * 2 + 8];

	return rules_encode_text(part, sizeof(part), text) != NULL ||
		       strlcat(out, part, cap) >= cap || strlcat(out, end, cap) >= cap
		   ? -1
		   : 0;
}

int
rules_add(struct user *u, const struct rule *r)
{
	char field[80], all[sizeof(u->rules)];
	const char *at = u->rules;
	struct rule old;
	size_t n = 0;

	while (rules_next(&at, &old))
		n++;
	snprintf(field, sizeof(field), "%s%s", field_words[r->field], r->header);
	strlcpy(all, u->rules, sizeof(all));
	if (n >= RULES_MAX || add_part(all, sizeof(all), field, "\\,") == -1 ||
	    add_part(all, sizeof(all), r->needle, "\\,") == -1 ||
	    add_part(all, sizeof(all), action_words[r->action], "\\,") == -1 ||
	    add_part(all, sizeof(all), r->argument, "\\;") == -1)
		return -1;
	strlcpy(u->rules, all, sizeof(u->rules));
	return 0;
}

int
rules_delete(struct user *u, size_t n)
{
	const char *at = u->rules, *from = at;
	struct rule r;
	size_t i = 0;

	while (rules_next(&at, &r)) {
		if (++i == n) {
			memmove(u->rules + (from - u->rules), at, strlen(at) + 1);
			return 0;
		}
		from = at;
	}
	return -1;
}
