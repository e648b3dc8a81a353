/* SPDX-License-Identifier: ISC */
/* What the owner of some data does with it while the suite is down. */
#include "fifectl/command.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/conf/conf.h"

int
offline_run(struct context *cx, int argc, char **argv)
{
	char dir[CONF_PATH_MAX + 1], path[PATH_MAX], err[1400];
	char *words[] = { (char *)"queued", (char *)"verify", (char *)"spool", NULL,
		NULL };
	struct conf *c;
	int r;

	if (argc > 4 || (argc == 4 && strcmp(argv[3], "--repair") != 0)) {
		fprintf(stderr, "usage: fifectl queue verify --offline [--repair]\n");
		return CTL_USAGE;
	}
	if (argc == 4)
		words[3] = argv[3];
	if ((c = conf_load(cx->conf_path, err, sizeof(err))) == NULL) {
		fprintf(stderr, "fifectl: %s\n", err);
		return CTL_REFUSED;
	}
	r = conf_path(
	    c, c->libexec[0] != '\0' ? c->libexec : cx->libexec, dir, sizeof(dir));
	conf_free(c);
	if (r == -1 ||
	    snprintf(path, sizeof(path), "%s/queued", dir) >= (int)sizeof(path)) {
		fprintf(stderr, "fifectl: the path of libexec is too long\n");
		return CTL_REFUSED;
	}
	if ((r = command_enter_state(cx)) != CTL_OK)
		return r;
	/* It takes the lock of the spool, or says who has it. */
	execv(path, words);
	fprintf(stderr, "fifectl: %s: cannot be executed\n", path);
	return CTL_REFUSED;
}
