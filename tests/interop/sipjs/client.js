// A SIP.js user agent over WebSocket for tests: takes commands from standard input and tells what happens on standard output,
// one JSON object a line.
//
// Example: node client.js ws://127.0.0.1:8080/ws sip:alice@example.org secret
// A UUID after the password makes it send +sip.instance, so that it gets a GRUU.
//
// Commands: {"do": "register"}, {"do": "subscribe", "target": URI}, {"do": "publish", "body": DOCUMENT}, {"do": "unpublish"},
// {"do": "stop"}.
// Events: connected, disconnected, registration, subscription, notify, publication, sent, received (the SIP messages), error.

import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { Publisher, Registerer, Subscriber, UserAgent } from "sip.js";

const [server, address, password, instance] = process.argv.slice(2);
const LIFETIME = 600;
const PIDF = "application/pidf+xml";
const SENT = "Sending WebSocket message:\n\n";
const RECEIVED = "Received WebSocket text message:\n\n";

// The one thing of a browser that SIP.js needs here.
globalThis.WebSocket = WebSocket;

function tell(event, details = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...details })}\n`);
}

function tellMessage(level, category, label, content) {
  if (content.startsWith(SENT)) {
    tell("sent", { message: content.slice(SENT.length) });
  } else if (content.startsWith(RECEIVED)) {
    tell("received", { message: content.slice(RECEIVED.length) });
  } else if (level === "error" || level === "warn") {
    tell("error", { why: `${category}: ${content}` });
  }
}

const uri = UserAgent.makeURI(address);
const agent = new UserAgent({
  uri,
  authorizationUsername: uri.user,
  authorizationPassword: password,
  instanceId: instance ?? "",
  instanceIdAlwaysAdded: instance !== undefined,
  transportOptions: { server, traceSip: true },
  logBuiltinEnabled: false,
  logLevel: "debug",
  logConnector: tellMessage,
  delegate: {
    onConnect: () => tell("connected"),
    onDisconnect: (error) => tell("disconnected", { why: String(error ?? "") }),
  },
});
const registerer = new Registerer(agent, { expires: LIFETIME });
const publisher = new Publisher(agent, uri, "presence", { contentType: PIDF, expires: LIFETIME, unpublishOnClose: true });
registerer.stateChange.addListener((state) => tell("registration", { state }));
publisher.stateChange.addListener((state) => tell("publication", { state }));

function tellNotify(target, notification) {
  const { request } = notification;
  tell("notify", {
    target,
    state: request.getHeader("Subscription-State"),
    type: request.getHeader("Content-Type") ?? "",
    body: request.body,
  });
}

async function subscribe({ target }) {
  const subscriber = new Subscriber(agent, UserAgent.makeURI(target), "presence", {
    expires: LIFETIME,
    extraHeaders: [`Accept: ${PIDF}`],
  });
  subscriber.delegate = {
    onNotify: (notification) => {
      tellNotify(target, notification);
      notification.accept();
    },
  };
  subscriber.stateChange.addListener((state) => tell("subscription", { target, state }));
  await subscriber.subscribe();
}

const commands = {
  register: () => registerer.register(),
  subscribe,
  publish: ({ body }) => publisher.publish(body),
  unpublish: () => publisher.unpublish(),
  stop: async () => {
    await agent.stop();
    process.exit(0);
  },
};

await agent.start();
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command).catch((error) => tell("error", { why: String(error) }));
}
process.exit(0);
