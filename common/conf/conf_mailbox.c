/* SPDX-License-Identifier: ISC */
/* fife.conf: mailbox { }, imap { }, pop3 { }, managesieve { }, sieve { } and directory {
 * }. */
#include "common/conf/conf_int.h"

static const struct conf_setting mailbox_settings[] = {
	{ "linger", CONF_TIME, CONF_AT(msg_conf_mboxd, linger_s), 0, 86400, "30s" },
	/* 0: sessions that wait keep their process */
	{ "sleep", CONF_TIME, CONF_AT(msg_conf_mboxd, sleep_s), 0, 86400, "3s" },
	{ "processes-max", CONF_COUNT, CONF_AT(msg_conf_mboxd, processes_max), 1, 10000,
	    "1000" },
	/* "": mailboxes are not shared */
	{ "other-users", CONF_TEXT, CONF_AT(msg_conf_mboxd, other_users),
	    .initial = "\"Other Users\"" },
	/* 0: no quota */
	{ "quota", CONF_SIZE, CONF_AT(msg_conf_mboxd, quota_default), 0, 1ull << 50,
	    "0" },
	{ NULL },
};

const struct conf_section conf_section_mailbox = { "mailbox", mailbox_settings, NULL,
	NULL, offsetof(struct conf, mailbox) };

#define FRONT(idle)                                                                      \
	{ "connections-max", CONF_COUNT, CONF_AT(msg_conf_front, connections_max), 1,    \
		60000, "1000" },                                                         \
	    { "connections-per-address", CONF_COUNT,                                     \
		    CONF_AT(msg_conf_front, connections_per_address), 1, 60000, "100" }, \
	    { "timeout-login", CONF_TIME, CONF_AT(msg_conf_front, login_timeout_s), 1,   \
		    3600, "1m" },                                                        \
	{                                                                                \
		"timeout-idle", CONF_TIME, CONF_AT(msg_conf_front, idle_timeout_s), 1,   \
		    86400, idle                                                          \
	}

/* RFC 9051, 5.4 and RFC 1939, 3: at least 30 and 10 minutes. */
static const struct conf_setting imap_settings[] = { FRONT("30m"),
	/* RFC 9738, 3: at least 1000 where there is one; conf_check.c */
	{ "message-limit", CONF_COUNT, CONF_AT(msg_conf_front, message_limit), 0, 100000,
	    "0" },
	{ "save-limit", CONF_COUNT, CONF_AT(msg_conf_front, save_limit), 0, 100000, "0" },
	/* authd needs it; conf_check.c */
	{ "quotaset", CONF_YES, CONF_AT(msg_conf_front, quotaset), .initial = "no" },
	{ NULL } };
static const struct conf_setting pop3_settings[] = { FRONT("10m"),
	{ "login-delay", CONF_TIME, CONF_AT(msg_conf_front, login_delay_s), 0, 86400,
	    "0" },
	{ "utf8-strict", CONF_YES, CONF_AT(msg_conf_front, utf8_strict),
	    .initial = "no" },
	{ NULL } };

const struct conf_section conf_section_imap = { "imap", imap_settings, NULL, NULL,
	offsetof(struct conf, imap) };
const struct conf_section conf_section_pop3 = { "pop3", pop3_settings, NULL, NULL,
	offsetof(struct conf, pop3) };

/* RFC 5804, 1.2: at least 30 minutes. */
static const struct conf_setting managesieve_settings[] = { FRONT("30m"), { NULL } };
const struct conf_section conf_section_managesieve = { "managesieve",
	managesieve_settings, NULL, NULL, offsetof(struct conf, managesieve) };

/* Scripts of the site; mailbox/site.h reads and checks them. */
static const struct conf_setting sieve_settings[] = {
	{ "global", CONF_PATH, CONF_AT(conf, sieve_global) },
	{ "before", CONF_PATH, CONF_AT(conf, sieve_before) },
	{ "after", CONF_PATH, CONF_AT(conf, sieve_after) },
	{ NULL },
};

const struct conf_section conf_section_sieve = { "sieve", sieve_settings, NULL, NULL, 0 };

static const struct conf_setting directory_settings[] = {
	{ "iterations", CONF_COUNT, CONF_AT(conf, directory.iterations), 4096, 10000000,
	    "65536" },
	{ "workers", CONF_COUNT, CONF_AT(conf, directory.workers), 1, 16, "2" },
	{ "default-domain", CONF_HOST, CONF_AT(conf, directory.default_domain) },
	{ "password-memory", CONF_TIME, CONF_AT(conf, directory.password_memory_s), 0,
	    86400, "5m" },
	{ "client-ca", CONF_PATH, CONF_AT(conf, client_ca) },
	{ NULL },
};

const struct conf_section conf_section_directory = { "directory", directory_settings,
	NULL, NULL, 0 };
