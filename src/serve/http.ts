/**
 * Metrics and health over HTTP: two pages, read only.
 *
 * Whoever asks costs little: at most so many connections, one request each, a small header, no body, a few seconds.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Address, listenOn } from '../nbd/listener.ts';
import { PROMETHEUS_CONTENT_TYPE } from '../zcache/index.ts';

const CONNECTIONS_MAX = 32;
const HEADER_BYTES_MAX = 8 * 1024;
const REQUEST_MAX_MS = 5000;
/** How often Node.js looks for requests that take too long. */
const LOOK_MS = 1000;

export interface Health {
  readonly status: 'ok' | 'draining' | 'failed';
  readonly exports: number;
  readonly connections: number;
}

export interface Pages {
  /** Prometheus text. */
  metrics(): string;
  health(): Health;
}

export class HttpServer {
  readonly #server: Server;
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        requestTimeout: REQUEST_MAX_MS,
        headersTimeout: REQUEST_MAX_MS,
        connectionsCheckingInterval: LOOK_MS,
        keepAlive: false,
      },
      (request, response) => this.#answer(request, response),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.maxRequestsPerSocket = 1;
    // Also one that does not read its answer.
    this.#server.setTimeout(REQUEST_MAX_MS);
  }

  /** @throws the error of node:net, such as EADDRINUSE or EACCES */
  listen(address: Address): Promise<Address> {
    return listenOn(this.#server, address);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const [path] = (request.url ?? '').split('?');
    const page = path === '/metrics' ? 'metrics' : path === '/healthz' ? 'health' : undefined;
    if (page === undefined) {
      send(request, response, 404, 'text/plain', 'not found; there are /metrics and /healthz\n');
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      send(request, response, 405, 'text/plain', 'only GET and HEAD\n');
    } else if (page === 'metrics') {
      this.#metrics(request, response);
    } else {
      const health = this.#pages.health();
      const status = health.status === 'ok' ? 200 : 503;
      send(request, response, status, 'application/json', `${JSON.stringify(health)}\n`);
    }
  }

  #metrics(request: IncomingMessage, response: ServerResponse): void {
    let text: string;
    try {
      text = this.#pages.metrics();
    } catch (error) {
      send(request, response, 503, 'text/plain', `${(error as Error).message}\n`);
      return;
    }
    send(request, response, 200, PROMETHEUS_CONTENT_TYPE, text);
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  contentType: string,
  text: string,
): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    Connection: 'close',
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
