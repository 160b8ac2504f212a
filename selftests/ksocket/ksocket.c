// SPDX-License-Identifier: GPL-2.0
/*
 * What a network file system has: TCP sockets of the kernel's own. Either a listener
 * and both ends of a connection to it, by loopback in the network namespace of who
 * loads this: his process makes and closes them, and none holds them. Or listeners
 * in every namespace: they are there from the first moment of a new one, before any
 * device is, until nobody can be in it any more.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

static ushort port;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "of the listener; of the one in IPv6 the next");

static bool everywhere;
module_param(everywhere, bool, 0444);
MODULE_PARM_DESC(everywhere, "A listener of each family in each network namespace, and nothing else");

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

/* Addresses are of another type in newer kernels: hence void. */
static int listen_at(struct net *net, int family, void *addr, int size, struct socket **sock)
{
	return sock_create_kern(net, family, SOCK_STREAM, IPPROTO_TCP, sock) ?:
	       kernel_bind(*sock, addr, size) ?:
	       kernel_listen(*sock, 16);
}

static int open_all(struct net *net)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	void *to = &addr;

	return listen_at(net, AF_INET, to, sizeof(addr), &listener) ?:
	       sock_create_kern(net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &client) ?:
	       kernel_connect(client, to, sizeof(addr), 0) ?:
	       kernel_accept(listener, &server, 0);
}

struct listeners {
	struct socket *ipv4, *ipv6;
};

static unsigned int listeners_id;

/* Not as late as at its exit: what has come by lo may keep that from going. */
static void __net_exit listeners_close(struct net *net)
{
	struct listeners *of = net_generic(net, listeners_id);

	if (of->ipv4)
		sock_release(of->ipv4);
	if (of->ipv6)
		sock_release(of->ipv6);
}

static int __net_init listeners_open(struct net *net)
{
	struct listeners *of = net_generic(net, listeners_id);
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	struct sockaddr_in6 addr6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port + 1),
	};
	int err;

	err = listen_at(net, AF_INET, &addr, sizeof(addr), &of->ipv4) ?:
	      listen_at(net, AF_INET6, &addr6, sizeof(addr6), &of->ipv6);
	if (err)
		listeners_close(net);
	return err;
}

static struct pernet_operations listeners_ops = {
	.init		= listeners_open,
	.pre_exit	= listeners_close,
	.id		= &listeners_id,
	.size		= sizeof(struct listeners),
};

static int __init ksocket_init(void)
{
	int err;

	if (everywhere)
		return register_pernet_subsys(&listeners_ops);
	err = open_all(current->nsproxy->net_ns);
	if (err)
		release_all();
	return err;
}

static void __exit ksocket_exit(void)
{
	if (everywhere)
		unregister_pernet_subsys(&listeners_ops);
	release_all();
}

module_init(ksocket_init);
module_exit(ksocket_exit);
MODULE_DESCRIPTION("TCP sockets of the kernel's own, for tests of tcpstate");
MODULE_LICENSE("GPL");
