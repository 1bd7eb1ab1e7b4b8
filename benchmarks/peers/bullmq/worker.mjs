// One worker process: undici with a pool of connections, BENCH_CALLS jobs at once.
import { readFileSync } from "node:fs";
import { Worker } from "bullmq";
import { Pool } from "undici";

const { BENCH_REDIS_URL, BENCH_BASE_URL, BENCH_CA_FILE, BENCH_CALLS } = process.env;
const { hostname, port } = new URL(BENCH_REDIS_URL);
const pool = new Pool(BENCH_BASE_URL, {
  connections: Number(BENCH_CALLS),
  connect: BENCH_CA_FILE ? { ca: readFileSync(BENCH_CA_FILE) } : {},
});
new Worker(
  "send",
  async (job) => {
    const { statusCode, body } = await pool.request({
      path: "/passwordless/start",
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        client_id: "client",
        client_secret: "secret",
        connection: "email",
        email: job.data.email,
        send: "code",
      }),
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
  },
  { connection: { host: hostname, port: Number(port) }, concurrency: Number(BENCH_CALLS) },
);
