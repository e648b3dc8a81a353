/*
 * queued(8): the queue, the only writer of the spool.
 *
 * SPDX-License-Identifier: ISC
 */
#include "common/daemon.h"
#include "queued/queued.h"

int
main(void)
{
	return daemon_run(&queued_daemon);
}
