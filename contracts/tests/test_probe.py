import time, json, asyncio
from panoreel.eventlog.log import open_log, _expectation
from panoreel.eventlog.topology import diff, TASKS

async def test_a(nats_server):
        async with open_log(nats_server.url, "x") as log:
            for direct in (0,1):
                for st in (TASKS, "NOPE"):
                    try: print(await log.js.get_msg(st, subject="task.nope.>", direct=bool(direct)))
                    except Exception as e: print(direct, st, type(e), e)
                    try: print(await log.js.get_msg(st, 1, subject="task.nope.>", direct=bool(direct), next=True))
                    except Exception as e: print(direct, st, type(e), e)
