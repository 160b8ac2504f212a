# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# bash completion for tcpstate-cli

_tcpstate_cli()
{
	local cur=$2 prev=$3 word object='' i
	local options='-j --json -p --pretty -n --netns -a --all-netns
		-h --help -V --version'
	local objects='state dest port conn owner close monitor check config audit'
	local keys='port-room-warning port-room-critical time-wait-warning
		time-wait-critical close-wait-warning close-wait-critical'
	local states='ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2
		TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING NEW_SYN_RECV'

	if [[ $prev == -n || $prev == --netns ]]; then
		if [[ $cur == */* ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		else
			mapfile -t COMPREPLY < <(cd /run/netns 2>/dev/null &&
				compgen -f -- "$cur")
		fi
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == -n || $word == --netns ]]; then
			((i++))
		elif [[ $word != -* ]]; then
			object=$word
			break
		fi
	done
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
	case $object in
	'')
		mapfile -t COMPREPLY < <(compgen -W "$objects" -- "$cur")
		;;
	state)
		cur=${cur^^}
		((i != COMP_CWORD - 1)) ||
			mapfile -t COMPREPLY < <(compgen -W "$states" -- "${cur//-/_}")
		;;
	dest)
		[[ $prev == dst || $prev == dport || $prev == top ]] ||
			mapfile -t COMPREPLY < <(compgen -W 'dst dport top' -- "$cur")
		;;
	port)
		((i != COMP_CWORD - 1)) ||
			mapfile -t COMPREPLY < <(compgen -W summary -- "$cur")
		;;
	conn | close)
		case $prev in
		state)
			mapfile -t COMPREPLY < <(compgen -W "$states" -- "${cur^^}")
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
		if ((i == COMP_CWORD - 1)); then
			mapfile -t COMPREPLY < <(compgen -W set -- "$cur")
		elif (((COMP_CWORD - i) % 2 == 0)); then
			mapfile -t COMPREPLY < <(compgen -W "$keys" -- "$cur")
		fi
		;;
	audit)
		if [[ $prev == rechecks ]]; then
			mapfile -t COMPREPLY < <(compgen -W '0 1 2 3 4 5 6 7 8 9 10' \
				-- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W rechecks -- "$cur")
		fi
		;;
	esac
}

complete -F _tcpstate_cli tcpstate-cli
