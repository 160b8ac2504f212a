// SPDX-License-Identifier: GPL-2.0
/*
 * What a network file system has: TCP sockets of the kernel's own, a listener and both
 * ends of a connection to it, by loopback in the network namespace of who loads this.
 * His process makes and closes them, and none holds them.
 */
#include <linux/in.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <net/net_namespace.h>

static ushort port;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "of the listener");

static struct socket *listener, *client, *server;

static void release_all(void)
{
	if (client)
		sock_release(client);
	if (server)
		sock_release(server);
	if (listener)
		sock_release(listener);
}

static int open_all(struct net *net)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	/* Of another type in newer kernels. */
	void *to = &addr;

	return sock_create_kern(net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &listener) ?:
	       kernel_bind(listener, to, sizeof(addr)) ?:
	       kernel_listen(listener, 1) ?:
	       sock_create_kern(net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &client) ?:
	       kernel_connect(client, to, sizeof(addr), 0) ?:
	       kernel_accept(listener, &server, 0);
}

static int __init ksocket_init(void)
{
	int err = open_all(current->nsproxy->net_ns);

	if (err)
		release_all();
	return err;
}

static void __exit ksocket_exit(void)
{
	release_all();
}

module_init(ksocket_init);
module_exit(ksocket_exit);
MODULE_DESCRIPTION("TCP sockets of the kernel's own, for tests of tcpstate");
MODULE_LICENSE("GPL");
