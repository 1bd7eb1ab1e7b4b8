// Adds jobs a thousand at a time: node enqueue.mjs COUNT
import { Queue } from "bullmq";

const count = Number(process.argv[2]);
const { hostname, port } = new URL(process.env.BENCH_REDIS_URL);
const queue = new Queue("send", { connection: { host: hostname, port: Number(port) } });
for (let first = 0; first < count; first += 1000) {
  const size = Math.min(1000, count - first);
  await queue.addBulk(
    Array.from({ length: size }, (_, at) => ({
      name: "send",
      data: { email: `guest-${String(first + at).padStart(7, "0")}@example.com` },
      opts: { removeOnComplete: true },
    })),
  );
}
await queue.close();
