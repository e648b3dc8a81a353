/* SPDX-License-Identifier: ISC */
/* fife.conf: what stands outside of blocks, about the host as a whole. */
#include "common/conf/conf_int.h"

#include <string.h>

#include "common/compat/compat.h"

static const struct conf_setting settings[] = {
	{ "hostname", CONF_HOST, CONF_AT(conf, hostname) },
	{ "postmaster", CONF_MAIL, CONF_AT(conf, postmaster) },
	{ "state", CONF_PATH, CONF_AT(conf, state), .initial = "/var/lib/fife" },
	{ "libexec", CONF_PATH, CONF_AT(conf, libexec) },
	{ "smtpd-workers", CONF_COUNT, CONF_AT(conf, smtpd_workers), 0,
	    CONF_SMTPD_WORKERS_MAX, "0" },
	{ "debug", CONF_YES, CONF_AT(conf, debug), .initial = "no" },
	{ NULL },
};

/* uids FIRST-LAST */
static int
uids(struct conf_parser *p, void *base)
{
	struct conf *c = base;
	uint64_t first, last;
	char text[64], *dash;

	if (p->lex.token != TOK_WORD ||
	    strlcpy(text, p->lex.text, sizeof(text)) >= sizeof(text) ||
	    (dash = strchr(text, '-')) == NULL)
		return conf_unexpected(p, "a range of uids such as 52000-60999");
	*dash = '\0';
	if (conf_unit_number(text, &first) == -1 ||
	    conf_unit_number(dash + 1, &last) == -1)
		return conf_unexpected(p, "a range of uids such as 52000-60999");
	if (first < 100 || last > 0x7fffffff || last < first + 2 * CONF_UID_MAILBOXES)
		return conf_error(p,
		    "range of uids %.40s, expected at least %d uids from 100 on, of "
		    "which %d "
		    "are for daemons",
		    p->lex.text, 2 * CONF_UID_MAILBOXES + 1, CONF_UID_MAILBOXES);
	c->uid_first = (uint32_t)first;
	c->uid_last = (uint32_t)last;
	return conf_advance(p);
}

static const struct conf_special specials[] = {
	{ "uids", uids },
	{ "listen", conf_listen_parse },
	{ "tls", conf_tls_parse },
	{ "command", conf_command_parse },
	{ "maildir", conf_maildir_parse },
	{ NULL, NULL },
};

static void
print(const struct conf *c, FILE *f)
{
	fprintf(f, "uids %u-%u\n", c->uid_first, c->uid_last);
	conf_listen_print(c, f);
	conf_tls_print(c, f);
	conf_command_print(c, f);
}

const struct conf_section conf_section_host = { "host", settings, specials, print, 0 };
