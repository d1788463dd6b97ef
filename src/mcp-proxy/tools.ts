import { type Client, type ToolInfo, type Upstream, UpstreamLost } from "./upstream.ts";

/** What a server says of its tools, remembered for each principal: a server may show others to others. */
export interface Tools {
  /** Undefined where it isn't listed; throws where the tools can't be listed. */
  find(tool: string, upstream: Upstream, client: Client): Promise<ToolInfo | undefined>;
  all(upstream: Upstream, client: Client): Promise<ReadonlyMap<string, ToolInfo>>;
  drop(principal?: string): void;
}

export interface ToolsOptions {
  /** Milliseconds, from any start. */
  readonly monotonicMs: () => number;
  /** Is told each list that came. */
  readonly onListed?: (tools: ReadonlyMap<string, ToolInfo>) => void;
}

/** A list that never ends is none. */
const pagesMost = 1_000;
const principalsMost = 1_000;
/** A call doesn't wait longer for a list; it is then guarded as if nothing were known. */
const listMs = 10_000;
/** Over HTTP nobody need tell that the tools have changed. */
const freshMs = 60_000;

interface Listed {
  readonly tools: Promise<ReadonlyMap<string, ToolInfo>>;
  readonly sinceMs: number;
}

export function createTools({ monotonicMs, onListed }: ToolsOptions): Tools {
  const known = new Map<string | undefined, Listed>();

  const remembered = (principal: string | undefined): Listed | undefined => {
    const before = known.get(principal);
    return before !== undefined && monotonicMs() - before.sinceMs < freshMs ? before : undefined;
  };

  const list = (upstream: Upstream, principal: string | undefined): Listed => {
    const listed = { tools: inTime(listAll(upstream)), sinceMs: monotonicMs() };
    known.delete(principal);
    known.set(principal, listed);
    const [oldest] = known.keys();
    if (known.size > principalsMost) known.delete(oldest);
    listed.tools.then(onListed, (error: unknown) => {
      // Where no list came in time, the next calls don't wait for one again.
      if (error instanceof TooLate) return;
      if (known.get(principal) === listed) known.delete(principal);
    });
    return listed;
  };

  return {
    all: (upstream, { principal }) => (remembered(principal) ?? list(upstream, principal)).tools,
    async find(tool, upstream, { principal }) {
      const before = remembered(principal);
      const found = (await before?.tools)?.get(tool);
      // Not in a list of a while ago: it may be new, and that nobody has it needs a list of now.
      return found ?? (await list(upstream, principal).tools).get(tool);
    },
    drop(principal) {
      if (principal === undefined) known.clear();
      else known.delete(principal);
    },
  };
}

async function listAll(upstream: Upstream): Promise<ReadonlyMap<string, ToolInfo>> {
  const tools = new Map<string, ToolInfo>();
  let cursor: string | undefined;
  for (let page = 0; page < pagesMost; page += 1) {
    const { tools: some, nextCursor } = await upstream.list(cursor);
    // Of two tools with one name nobody knows which is called: the first one's word would not do.
    for (const tool of some) {
      tools.set(tool.name, tools.has(tool.name) ? { name: tool.name } : tool);
    }
    if (nextCursor === undefined) return tools;
    cursor = nextCursor;
  }
  throw new UpstreamLost("The list of tools does not end.");
}

class TooLate extends Error {
  override readonly name = "TooLate";
}

function inTime<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const over = () => reject(new TooLate("The list of tools did not come in time."));
    const timer = setTimeout(over, listMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
