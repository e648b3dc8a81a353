/* SPDX-License-Identifier: ISC */
/* fife.conf: smtp { }, what smtpd grants its clients. */
#include "common/conf/conf_int.h"

/* Words of msg_conf_smtpd.mt_priority. */
static const struct conf_choice policies[] = {
	{ "off", MT_PRIORITY_OFF },
	{ "on", MT_PRIORITY_ON },
	{ "mixer", MT_PRIORITY_MIXER },
	{ "stanag4406", MT_PRIORITY_STANAG4406 },
	{ "nsep", MT_PRIORITY_NSEP },
	{ NULL, 0 },
};

static const struct conf_setting settings[] = {
	{ "message-size-max", CONF_SIZE, CONF_AT(msg_conf_smtpd, message_size_max),
	    64 * 1024, 2000ull << 20, "50m" },
	{ "recipients-max", CONF_COUNT, CONF_AT(msg_conf_smtpd, recipients_max), 100,
	    100000, "1000" }, /* RFC 5321, 4.5.3.1.8: at least 100 */
	{ "connections-max", CONF_COUNT, CONF_AT(msg_conf_smtpd, connections_max), 1,
	    60000, "2000" },
	{ "connections-per-address", CONF_COUNT,
	    CONF_AT(msg_conf_smtpd, connections_per_address), 1, 60000, "50" },
	{ "connections-per-network", CONF_COUNT,
	    CONF_AT(msg_conf_smtpd, connections_per_network), 0, 60000, "0" },
	{ "timeout-command", CONF_TIME, CONF_AT(msg_conf_smtpd, timeout_command_s), 1,
	    3600, "5m" },
	{ "timeout-data", CONF_TIME, CONF_AT(msg_conf_smtpd, timeout_data_s), 1, 3600,
	    "5m" },
	{ "errors-max", CONF_COUNT, CONF_AT(msg_conf_smtpd, errors_max), 1, 10000, "20" },
	{ "hops-max", CONF_COUNT, CONF_AT(msg_conf_smtpd, hops_max), 10, 1000, "100" },
	{ "trust-loopback", CONF_YES, CONF_AT(msg_conf_smtpd, trust_loopback),
	    .initial = "yes" },
	{ "sender-domain-check", CONF_YES, CONF_AT(msg_conf_smtpd, sender_domain_check),
	    .initial = "no" },
	{ "hide-login-client", CONF_YES, CONF_AT(msg_conf_smtpd, hide_login_client),
	    .initial = "no" },
	{ "null-mx-check", CONF_YES, CONF_AT(msg_conf_smtpd, null_mx_check),
	    .initial = "yes" },
	{ "future-release-max", CONF_TIME, CONF_AT(msg_conf_smtpd, release_max_s), 0,
	    366 * 86400, "30d" },
	{ "deliver-by-min", CONF_TIME, CONF_AT(msg_conf_smtpd, by_min_s), 0, 86400,
	    "0s" },
	{ "mt-priority", CONF_CHOICE, CONF_AT(msg_conf_smtpd, mt_priority),
	    .initial = "on", .choices = policies },
	{ "priority-login-max", CONF_COUNT, CONF_AT(msg_conf_smtpd, priority_login_max),
	    0, 9, "0" },
	{ "banner", CONF_TEXT, CONF_AT(msg_conf_smtpd, banner) },
	{ NULL },
};

const struct conf_section conf_section_smtp = { "smtp", settings, NULL, NULL,
	offsetof(struct conf, smtp) };
