// Send an e-mail with celery-ts (npm install celery-ts@1.2.3), and print the operation's id.
import { createClient } from "celery-ts";

const redis = process.env.GATEPOST_REDIS_URL;
const client = createClient({ brokerUrl: redis, resultBackend: redis });
// celery-ts never sees an answer that comes before it has subscribed to answers. It has no public way to wait for that.
await client.backend.subscriber;
const task = client.createTask("gatepost.submit");
const args = [{ kind: "send_email", email: process.argv[2] }];
const answer = await task.applyAsync({ args, kwargs: {}, queue: "gatepost.send", routingKey: "gatepost.send" }).get(30_000);
// celery-ts gives a refusal like a result.
const { operation_id, exc_type, exc_message } = answer;
console.log(JSON.stringify(operation_id ? { operation_id } : { error: exc_type, problems: exc_message }));
// Its connections would keep the process alive.
process.exit(0);
