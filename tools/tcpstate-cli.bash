# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# bash completion for tcpstate-cli

_tcpstate_cli()
{
	local cur=$2 prev=$3 word object='' before='' i n
	local -a args=()
	local options='-j --json -p --pretty -n --netns -a --all-netns
		-h --help -V --version'
	local objects='state dest port conn owner close monitor check config audit'
	local keys='port-room-warning port-room-critical time-wait-warning
		time-wait-critical close-wait-warning close-wait-critical'
	local states='ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2
		TIME_WAIT CLOSE_WAIT LAST_ACK LISTEN CLOSING'

	if [[ $prev == -n || $prev == --netns ]]; then
		if [[ $cur == */* ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		else
			mapfile -t COMPREPLY < <(cd /run/netns 2>/dev/null &&
				compgen -f -- "$cur")
		fi
		return
	fi
	# The object and its words, whatever options stand between them.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == -n || $word == --netns ]]; then
			((i++))
		elif [[ $word != -* ]]; then
			args+=("$word")
		fi
	done
	object=${args[0]-}
	n=${#args[@]}
	if [[ $cur == -* ]]; then
		case $object in
		check)
			options+=' --port-room --dest --orphans --time-wait
				--close-wait-age --close-wait'
			;;
		close)
			options+=' --yes'
			;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return
	fi
	((n == 0)) || [[ $object == check ]] || prev=${args[n - 1]}
	case $object in
	'')
		mapfile -t COMPREPLY < <(compgen -W "$objects" -- "$cur")
		;;
	state)
		cur=${cur^^}
		((n != 1)) ||
			mapfile -t COMPREPLY < <(compgen -W "$states CLOSE NEW_SYN_RECV" \
				-- "${cur//-/_}")
		;;
	dest)
		[[ $prev == dst || $prev == dport || $prev == top ]] ||
			mapfile -t COMPREPLY < <(compgen -W 'dst dport top' -- "$cur")
		;;
	port)
		((n != 1)) ||
			mapfile -t COMPREPLY < <(compgen -W summary -- "$cur")
		;;
	conn | close)
		case $prev in
		state)
			# What follows a comma is the next one.
			[[ $cur != *,* ]] || before=${cur%,*},
			cur=${cur##*,}
			cur=${cur^^}
			mapfile -t COMPREPLY < <(compgen -P "$before" -W "$states" \
				-- "${cur//-/_}")
			;;
		uid)
			mapfile -t COMPREPLY < <(compgen -u -- "$cur")
			;;
		older | sport | dport | dst | pid | comm | cgroup | cookie | top) ;;
		*)
			mapfile -t COMPREPLY < <(compgen -W 'state older stuck orphan
				sport dport dst pid comm uid cgroup cookie top' \
				-- "$cur")
			;;
		esac
		;;
	owner)
		case $prev in
		by)
			mapfile -t COMPREPLY < <(compgen -W 'comm pid uid cgroup' -- "$cur")
			;;
		uid)
			mapfile -t COMPREPLY < <(compgen -u -- "$cur")
			;;
		owner)
			mapfile -t COMPREPLY < <(compgen -W 'by comm pid uid cgroup' -- "$cur")
			;;
		esac
		;;
	check)
		case $prev in
		--port-room | --orphans | --time-wait)
			mapfile -t COMPREPLY < <(compgen -W 80:95 -- "$cur")
			;;
		--close-wait-age)
			mapfile -t COMPREPLY < <(compgen -W 60s:10m -- "$cur")
			;;
		--close-wait)
			mapfile -t COMPREPLY < <(compgen -W 100:1000 -- "$cur")
			;;
		esac
		;;
	config)
		if ((n == 1)); then
			mapfile -t COMPREPLY < <(compgen -W set -- "$cur")
		elif ((n % 2 == 0)); then
			mapfile -t COMPREPLY < <(compgen -W "$keys" -- "$cur")
		fi
		;;
	audit)
		if [[ $prev == rechecks ]]; then
			mapfile -t COMPREPLY < <(compgen -W '0 1 2 3 4 5 6 7 8 9 10' \
				-- "$cur")
		elif ((n == 1)); then
			mapfile -t COMPREPLY < <(compgen -W rechecks -- "$cur")
		fi
		;;
	esac
}

complete -F _tcpstate_cli tcpstate-cli
