/* SPDX-License-Identifier: ISC */
/* fife.conf: log { }, how much logd keeps. */
#include "common/conf/conf_int.h"

static const struct conf_setting settings[] = {
	{ "keep", CONF_DAYS, CONF_AT(msg_conf_logd, keep_days), 1, 3650, "30d" },
	{ "day-max", CONF_SIZE, CONF_AT(msg_conf_logd, day_bytes_max), 1 << 20,
	    1ull << 44, "1g" },
	{ "syslog", CONF_YES, CONF_AT(msg_conf_logd, syslog), .initial = "no" },
	{ NULL },
};

const struct conf_section conf_section_log = { "log", settings, NULL, NULL,
	offsetof(struct conf, log) };
