// SPDX-License-Identifier: GPL-2.0
/* Makes the kernel say what the harness must not overlook. */
#define DEBUG
#include <linux/module.h>

static char *what = "";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "warn, oops, complain, lockup or chat");

static void spin(void *unused)
{
	for (;;)
		cpu_relax();
}

/* More than the kernel keeps, and not for the console. */
static void chat(void)
{
	int i;

	for (i = 0; i < 8192; i++)
		pr_debug("vmtest: %0900d\n", i);
}

static int __init vmtest_init(void)
{
	if (!strcmp(what, "warn"))
		WARN_ON(1);
	else if (!strcmp(what, "oops"))
		WRITE_ONCE(*(int *)8, 1);
	else if (!strcmp(what, "complain"))
		pr_err("BUG: said by vmtest\n");
	else if (!strcmp(what, "lockup"))
		on_each_cpu(spin, NULL, 1);
	else if (!strcmp(what, "chat"))
		chat();
	else
		return -EINVAL;
	return 0;
}

static void __exit vmtest_exit(void)
{
}

module_init(vmtest_init);
module_exit(vmtest_exit);
MODULE_DESCRIPTION("Kernel complaints for the harness's own test");
MODULE_LICENSE("GPL");
