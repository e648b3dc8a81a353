/*
 * queued(8): the queue, the only writer of the spool.
 *
 * SPDX-License-Identifier: ISC
 */
#include "common/daemon.h"
#include "queued/queued.h"
#include "queued/verify.h"

int
main(int argc, char **argv)
{
	/* Of a spool that nobody uses, for fifectl queue verify --offline. */
	if (argc > 1)
		return verify_main(argc, argv);
	return daemon_run(&queued_daemon);
}
