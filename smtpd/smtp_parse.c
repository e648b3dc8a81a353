/* SPDX-License-Identifier: ISC */
/* The parser of SMTP commands; see smtp_parse.h. */
#include "smtpd/smtp_parse_int.h"

#include <ctype.h>
#include <string.h>

#include "common/msg.h"
#include "common/proto/encoding.h"

struct parameters {
	struct smtp_command *cmd;
	unsigned int seen; /* bit i: keywords[i] */
};

static void
skip_spaces(struct cursor *c)
{
	while (c->len > 0 && (*c->p == ' ' || *c->p == '\t')) {
		c->p++;
		c->len--;
	}
}

static void
trim_end(struct cursor *c)
{
	while (c->len > 0 && (c->p[c->len - 1] == ' ' || c->p[c->len - 1] == '\t'))
		c->len--;
}

static struct cursor
word(struct cursor *c)
{
	struct cursor w = { c->p, 0 };

	while (w.len < c->len && c->p[w.len] != ' ' && c->p[w.len] != '\t')
		w.len++;
	c->p += w.len;
	c->len -= w.len;
	return w;
}

/* "FROM:" or "TO:", after which strangers' software often puts a space. */
static int
keyword_colon(struct cursor *c, const char *keyword)
{
	size_t n = strlen(keyword);

	if (c->len <= n || !ascii_equal(c->p, n, keyword) || c->p[n] != ':')
		return -1;
	c->p += n + 1;
	c->len -= n + 1;
	skip_spaces(c);
	return 0;
}

/* RFC 1870, 5 and RFC 3030, 2: 1*20DIGIT; what is too big is UINT64_MAX. */
static int
parse_number(struct cursor value, uint64_t *out)
{
	uint64_t n = 0;

	if (value.len == 0 || value.len > 20)
		return -1;
	for (size_t i = 0; i < value.len; i++) {
		unsigned int digit = (unsigned int)(value.p[i] - '0');

		if (value.p[i] < '0' || value.p[i] > '9')
			return -1;
		if (n > (UINT64_MAX - digit) / 10)
			n = UINT64_MAX;
		else if (n != UINT64_MAX)
			n = n * 10 + digit;
	}
	*out = n;
	return 0;
}

static enum smtp_reply
parse_size(struct smtp_command *cmd, struct cursor value)
{
	return parse_number(value, &cmd->size) == -1 ? SMTP_REPLY_BAD_PARAMETER
						     : SMTP_REPLY_NONE;
}

static enum smtp_reply
parse_body(struct smtp_command *cmd, struct cursor value)
{
	if (ascii_equal(value.p, value.len, "7bit"))
		cmd->body = BODY_7BIT;
	else if (ascii_equal(value.p, value.len, "8bitmime"))
		cmd->body = BODY_8BITMIME;
	else if (ascii_equal(value.p, value.len, "binarymime"))
		cmd->body = BODY_BINARYMIME;
	else
		return SMTP_REPLY_BAD_PARAMETER;
	return SMTP_REPLY_NONE;
}

static enum smtp_reply
parse_smtputf8(struct smtp_command *cmd, struct cursor value)
{
	if (value.p != NULL)
		return SMTP_REPLY_BAD_PARAMETER;
	cmd->smtputf8 = 1;
	return SMTP_REPLY_NONE;
}

/* RFC 4954, 5: must be understood where AUTH is offered. Nobody here trusts
 * another host's word, so the value is checked and dropped. */
static enum smtp_reply
parse_auth_parameter(struct smtp_command *cmd, struct cursor value)
{
	char buf[ADDRESS_MAX * 3 + 1];

	if (value.len == 0 || xtext_decode(value.p, value.len, buf, sizeof(buf)) == -1)
		return SMTP_REPLY_BAD_PARAMETER;
	return SMTP_REPLY_NONE;
}

/* ---- delivery status notifications: RFC 3461, 4 ---- */

static enum smtp_reply
parse_ret(struct smtp_command *cmd, struct cursor value)
{
	if (ascii_equal(value.p, value.len, "full"))
		cmd->ret = SMTP_RET_FULL;
	else if (ascii_equal(value.p, value.len, "hdrs"))
		cmd->ret = SMTP_RET_HDRS;
	else
		return SMTP_REPLY_BAD_PARAMETER;
	return SMTP_REPLY_NONE;
}

/* xtext of characters that may stand in a report's field. */
static int
printable_xtext(struct cursor value)
{
	char buf[SMTP_ORCPT_MAX + 1];
	int n = xtext_decode(value.p, value.len, buf, sizeof(buf));

	for (int i = 0; i < n; i++)
		if ((unsigned char)buf[i] < 32 || buf[i] == 127)
			return 0;
	return n > 0;
}

static enum smtp_reply
parse_envid(struct smtp_command *cmd, struct cursor value)
{
	if (value.len == 0 || value.len > SMTP_ENVID_MAX || !printable_xtext(value))
		return SMTP_REPLY_BAD_PARAMETER;
	memcpy(cmd->envid, value.p, value.len);
	cmd->envid[value.len] = '\0';
	return SMTP_REPLY_NONE;
}

static enum smtp_reply
parse_notify(struct smtp_command *cmd, struct cursor value)
{
	static const struct {
		const char *word;
		uint8_t bit;
	} words[] = { { "never", SMTP_NOTIFY_NEVER }, { "success", SMTP_NOTIFY_SUCCESS },
		{ "failure", SMTP_NOTIFY_FAILURE }, { "delay", SMTP_NOTIFY_DELAY } };
	const char *p = value.p, *end;

	if (value.len == 0)
		return SMTP_REPLY_BAD_PARAMETER;
	for (end = p + value.len;;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t i, n = (size_t)((comma != NULL ? comma : end) - p);

		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (ascii_equal(p, n, words[i].word))
				break;
		if (i == sizeof(words) / sizeof(words[0]))
			return SMTP_REPLY_BAD_PARAMETER;
		cmd->notify |= words[i].bit;
		if (comma == NULL)
			break;
		p = comma + 1;
	}
	/* NEVER stands alone. */
	if ((cmd->notify & SMTP_NOTIFY_NEVER) && cmd->notify != SMTP_NOTIFY_NEVER)
		return SMTP_REPLY_BAD_PARAMETER;
	return SMTP_REPLY_NONE;
}

static enum smtp_reply
parse_orcpt(struct smtp_command *cmd, struct cursor value)
{
	const char *semi = value.len > 0 ? memchr(value.p, ';', value.len) : NULL;
	struct cursor type = { value.p, 0 }, address;

	if (value.len > SMTP_ORCPT_MAX || semi == NULL || semi == value.p)
		return SMTP_REPLY_BAD_PARAMETER;
	type.len = (size_t)(semi - value.p);
	/* addr-type is an atom; the registered ones are letters, digits and "-". */
	for (size_t i = 0; i < type.len; i++)
		if (!isalnum((unsigned char)type.p[i]) && type.p[i] != '-')
			return SMTP_REPLY_BAD_PARAMETER;
	address.p = semi + 1;
	address.len = value.len - type.len - 1;
	/* RFC 6533, 3: such an address may also be itself. */
	if (!printable_xtext(address) &&
	    !(ascii_equal(type.p, type.len, "utf-8") && address.len > 0 &&
		memchr(address.p, '+', address.len) == NULL &&
		memchr(address.p, '=', address.len) == NULL &&
		utf8_valid(address.p, address.len)))
		return SMTP_REPLY_BAD_PARAMETER;
	memcpy(cmd->orcpt, value.p, value.len);
	cmd->orcpt[value.len] = '\0';
	return SMTP_REPLY_NONE;
}

static const struct {
	const char *name;
	enum smtp_verb verb;
	enum smtp_reply (*parse)(struct smtp_command *, struct cursor value);
} keywords[] = {
	{ "size", SMTP_MAIL, parse_size },
	{ "body", SMTP_MAIL, parse_body },
	{ "smtputf8", SMTP_MAIL, parse_smtputf8 },
	{ "auth", SMTP_MAIL, parse_auth_parameter },
	{ "ret", SMTP_MAIL, parse_ret },
	{ "envid", SMTP_MAIL, parse_envid },
	{ "holdfor", SMTP_MAIL, smtp_parse_holdfor },
	{ "holduntil", SMTP_MAIL, smtp_parse_holduntil },
	{ "by", SMTP_MAIL, smtp_parse_by },
	{ "mt-priority", SMTP_MAIL, smtp_parse_priority },
	{ "requiretls", SMTP_MAIL, smtp_parse_requiretls },
	{ "notify", SMTP_RCPT, parse_notify },
	{ "orcpt", SMTP_RCPT, parse_orcpt },
	{ "rrvs", SMTP_RCPT, smtp_parse_rrvs },
};

/* One keyword[=value] of MAIL or RCPT. */
static enum smtp_reply
parse_parameter(struct parameters *ps, struct cursor w)
{
	const char *eq = memchr(w.p, '=', w.len);
	size_t name_len = eq == NULL ? w.len : (size_t)(eq - w.p);
	struct cursor value = { NULL, 0 };

	if (eq != NULL) {
		value.p = eq + 1;
		value.len = w.len - name_len - 1;
	}
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.p[i] < 33 || value.p[i] == 127)
			return SMTP_REPLY_BAD_PARAMETER;
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (keywords[i].verb != ps->cmd->verb ||
		    !ascii_equal(w.p, name_len, keywords[i].name))
			continue;
		if (ps->seen & (1u << i))
			return SMTP_REPLY_BAD_PARAMETER;
		ps->seen |= 1u << i;
		return keywords[i].parse(ps->cmd, value);
	}
	return SMTP_REPLY_UNKNOWN_PARAMETER;
}

static enum smtp_reply
parse_path(
    struct smtp_command *cmd, struct cursor *c, unsigned int flags, enum smtp_reply bad)
{
	size_t used;

	if (c->len == 0 || *c->p != '<' ||
	    path_parse(c->p, c->len, flags, &cmd->path, &used) == -1)
		return bad;
	if (used < c->len && c->p[used] != ' ' && c->p[used] != '\t')
		return bad;
	c->p += used;
	c->len -= used;
	skip_spaces(c);
	return SMTP_REPLY_NONE;
}

/* What stands behind the path. */
static enum smtp_reply
parse_parameters(struct smtp_command *cmd, struct cursor *c)
{
	struct parameters ps = { .cmd = cmd };
	enum smtp_reply r = SMTP_REPLY_NONE;

	while (r == SMTP_REPLY_NONE && c->len > 0) {
		r = parse_parameter(&ps, word(c));
		skip_spaces(c);
	}
	return r;
}

static enum smtp_reply
parse_mail(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	enum smtp_reply r;

	if (keyword_colon(c, "from") == -1)
		return SMTP_REPLY_SYNTAX_MAIL;
	r = parse_path(cmd, c,
	    ADDRESS_NULL | (flags & SMTP_PARSE_NO_DOMAIN ? ADDRESS_NO_DOMAIN : 0),
	    SMTP_REPLY_BAD_SENDER);
	if (r == SMTP_REPLY_NONE)
		r = parse_parameters(cmd, c);
	if (r == SMTP_REPLY_NONE && !cmd->smtputf8 && !address_is_ascii(&cmd->path))
		return SMTP_REPLY_NEED_SMTPUTF8;
	return r;
}

static enum smtp_reply
parse_rcpt(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	enum smtp_reply r;

	if (keyword_colon(c, "to") == -1)
		return SMTP_REPLY_SYNTAX_RCPT;
	r = parse_path(cmd, c,
	    ADDRESS_POSTMASTER | (flags & SMTP_PARSE_NO_DOMAIN ? ADDRESS_NO_DOMAIN : 0),
	    SMTP_REPLY_BAD_RCPT);
	return r == SMTP_REPLY_NONE ? parse_parameters(cmd, c) : r;
}

static enum smtp_reply
parse_helo(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	/* RFC 5321, 4.1.4: a name is never refused for what it says; this only keeps
	 * out what would break the Received field's syntax. */
	if (c->len == 0)
		return SMTP_REPLY_SYNTAX_HELO;
	if (c->len > SMTP_HELO_MAX || !utf8_valid(c->p, c->len))
		return SMTP_REPLY_BAD_HELO;
	for (size_t i = 0; i < c->len; i++)
		if ((unsigned char)c->p[i] <= ' ' ||
		    strchr("()<>@,;\\\"\177", c->p[i]) != NULL)
			return SMTP_REPLY_BAD_HELO;
	memcpy(cmd->word, c->p, c->len);
	cmd->word[c->len] = '\0';
	return SMTP_REPLY_NONE;
}

static enum smtp_reply
parse_auth(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	struct cursor name = word(c), initial;

	if (name.len == 0)
		return SMTP_REPLY_SYNTAX_AUTH;
	if (name.len > SMTP_MECHANISM_MAX)
		return SMTP_REPLY_AUTH_MECHANISM;
	for (size_t i = 0; i < name.len; i++)
		cmd->word[i] = (char)toupper((unsigned char)name.p[i]);
	cmd->word[name.len] = '\0';
	skip_spaces(c);
	initial = word(c);
	if (initial.len > 0) {
		cmd->initial = initial.p;
		cmd->initial_len = initial.len;
		if (initial.len == 1 && *initial.p == '=')
			cmd->initial_len = 0;
	}
	skip_spaces(c);
	return c->len == 0 ? SMTP_REPLY_NONE : SMTP_REPLY_SYNTAX_AUTH;
}

static enum smtp_reply
parse_bdat(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	struct cursor last;

	if (parse_number(word(c), &cmd->chunk) == -1)
		return SMTP_REPLY_SYNTAX_BDAT;
	skip_spaces(c);
	last = word(c);
	if (last.len > 0 && !ascii_equal(last.p, last.len, "last"))
		return SMTP_REPLY_SYNTAX_BDAT;
	cmd->last = last.len > 0;
	skip_spaces(c);
	return c->len == 0 ? SMTP_REPLY_NONE : SMTP_REPLY_SYNTAX_BDAT;
}

/* RFC 4468, 3.5; the URL is in rest. */
static enum smtp_reply
parse_burl(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	struct cursor url = word(c), last;

	skip_spaces(c);
	last = word(c);
	if (url.len < 8 || !ascii_equal(url.p, 7, "imap://") ||
	    (last.len > 0 && !ascii_equal(last.p, last.len, "last")))
		return SMTP_REPLY_SYNTAX_BURL;
	cmd->rest = url.p;
	cmd->rest_len = url.len;
	cmd->last = last.len > 0;
	skip_spaces(c);
	return c->len == 0 ? SMTP_REPLY_NONE : SMTP_REPLY_SYNTAX_BURL;
}

static enum smtp_reply
parse_nothing(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	return c->len == 0 ? SMTP_REPLY_NONE : SMTP_REPLY_NO_ARGUMENT;
}

static enum smtp_reply
parse_anything(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	return SMTP_REPLY_NONE;
}

static enum smtp_reply
parse_something(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	return c->len > 0 ? SMTP_REPLY_NONE : SMTP_REPLY_NEEDS_ARGUMENT;
}

/* RFC 1985, 5.3; neither subdomains ("@") nor queues ("#") can be asked for. */
static enum smtp_reply
parse_etrn(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	if (c->len == 0 || c->len > SMTP_HELO_MAX ||
	    !address_domain_valid_loose(c->p, c->len))
		return SMTP_REPLY_SYNTAX_ETRN;
	memcpy(cmd->word, c->p, c->len);
	cmd->word[c->len] = '\0';
	return SMTP_REPLY_NONE;
}

static enum smtp_reply
parse_rest(struct smtp_command *cmd, struct cursor *c, unsigned int flags)
{
	cmd->rest = c->p;
	cmd->rest_len = c->len;
	return SMTP_REPLY_NONE;
}

static const struct {
	const char *name;
	enum smtp_verb verb;
	enum smtp_reply (*parse)(
	    struct smtp_command *, struct cursor *, unsigned int flags);
} verbs[] = {
	{ "mail", SMTP_MAIL, parse_mail },
	{ "rcpt", SMTP_RCPT, parse_rcpt },
	{ "data", SMTP_DATA, parse_nothing },
	{ "bdat", SMTP_BDAT, parse_bdat },
	{ "burl", SMTP_BURL, parse_burl },
	{ "ehlo", SMTP_EHLO, parse_helo },
	{ "helo", SMTP_HELO, parse_helo },
	{ "lhlo", SMTP_LHLO, parse_helo },
	{ "rset", SMTP_RSET, parse_nothing },
	{ "quit", SMTP_QUIT, parse_nothing },
	{ "noop", SMTP_NOOP, parse_anything },
	{ "vrfy", SMTP_VRFY, parse_something },
	{ "expn", SMTP_EXPN, parse_anything },
	{ "help", SMTP_HELP, parse_anything },
	{ "starttls", SMTP_STARTTLS, parse_nothing },
	{ "auth", SMTP_AUTH, parse_auth },
	{ "etrn", SMTP_ETRN, parse_etrn },
	{ "xclient", SMTP_XCLIENT, parse_rest },
	{ "xforward", SMTP_XFORWARD, parse_rest },
	{ "get", SMTP_HTTP, parse_anything },
	{ "post", SMTP_HTTP, parse_anything },
	{ "connect", SMTP_HTTP, parse_anything },
};

enum smtp_reply
smtp_parse(const char *line, size_t len, unsigned int flags, struct smtp_command *out)
{
	struct cursor c = { line, len }, w;

	memset(out, 0, sizeof(*out));
	trim_end(&c);
	w = word(&c);
	skip_spaces(&c);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!ascii_equal(w.p, w.len, verbs[i].name))
			continue;
		out->verb = verbs[i].verb;
		return verbs[i].parse(out, &c, flags);
	}
	out->verb = SMTP_UNKNOWN;
	return SMTP_REPLY_UNKNOWN_COMMAND;
}
