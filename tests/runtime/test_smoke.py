import time

from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.kit import running


async def test_smoke(urls):
    t = time.time()
    async with running(urls) as c:
        print("up", time.time() - t)
        shop = Shop(c)
        (p,) = await shop.stock(100)
        for _ in range(5):
            print(await shop.insist(shop.reserve(p)))
        print(await shop.level(p))
        t = time.time()
        c.kill("h0")
        await c.settled()
        print("resettled", time.time() - t)
        print(await shop.level(p))
        f = await audit(urls, shop.log)
        print(f)
        assert f.clean
