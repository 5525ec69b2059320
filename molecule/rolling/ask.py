"""Ask every KAS all the time whether its private API is there, until a file appears: ask.py STOP HOST …"""

import json
import socket
import sys
import time
from pathlib import Path


def answers(host: str) -> bool:
    try:
        with socket.create_connection((host, 8155), timeout=1):
            return True
    except OSError:
        return False


stop, *hosts = sys.argv[1:]
asked, fewest, missed = 0, len(hosts), dict.fromkeys(hosts, 0)
while not Path(stop).exists():
    found = {host: answers(host) for host in hosts}
    asked += 1
    fewest = min(fewest, sum(found.values()))
    for host, there in found.items():
        missed[host] += not there
    time.sleep(0.05)
print(json.dumps({"asked": asked, "fewest": fewest, "missed": missed}))
