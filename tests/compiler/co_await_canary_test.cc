// The forms of co_await that the house style leaves: each destroys what it made exactly once, under a
// compiler that gets other forms wrong (g++ 12.2). The forbidden ones are refused by tests/lint. Should a
// compiler break one of these, it is told here and not by a crash elsewhere.
#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/io/loop.h"
#include "proxy/io/pool.h"
#include "proxy/io/task.h"

namespace entrepot::io {
namespace {

// Counts what is alive; destroyed twice it goes below zero.
struct Counted {
  inline static int alive = 0;
  explicit Counted(std::string t) : text(std::move(t)) { ++alive; }
  Counted(const Counted& other) : text(other.text) { ++alive; }
  Counted(Counted&& other) noexcept : text(std::move(other.text)) { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }
  std::string text;
};

struct Aggregate {
  Counted name;
  int number;
};

class CoAwait : public testing::Test {
 protected:
  void SetUp() override { Counted::alive = 0; }
  void TearDown() override { EXPECT_EQ(Counted::alive, 0); }
};

// Suspends whoever awaits it until open().
class Gate {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiting_ = handle; }
  void await_resume() const noexcept {}
  void open() { std::exchange(waiting_, {}).resume(); }
  bool waited_for() const { return static_cast<bool>(waiting_); }

 private:
  std::coroutine_handle<> waiting_;
};

Task<Counted> at_once(Counted value) { co_return value; }
Task<Counted> later(Gate& gate, Counted value) {
  co_await gate;
  co_return value;
}
Task<int> number_of(Aggregate aggregate) {
  co_return aggregate.number + static_cast<int>(aggregate.name.text.size());
}
Aggregate made(std::string text) { return Aggregate{Counted(std::move(text)), 40}; }

template <typename T>
Task<void> into(std::shared_ptr<std::vector<T>> results, Task<T> task) {
  T value = co_await task;
  results->push_back(std::move(value));
}

TEST_F(CoAwait, ValueOfAChildThatEndsAtOnce) {
  auto results = std::make_shared<std::vector<Counted>>();
  Task<void> task = into(results, at_once(Counted("a")));
  task.start();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(results->at(0).text, "a");
}

TEST_F(CoAwait, ValueOfAChildThatSuspends) {
  Gate gate;
  auto results = std::make_shared<std::vector<Counted>>();
  Task<void> task = into(results, later(gate, Counted("b")));
  task.start();
  EXPECT_FALSE(task.done());
  gate.open();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(results->at(0).text, "b");
}

Task<int> named_aggregate() {
  Aggregate aggregate{Counted("xy"), 40};
  const int number = co_await number_of(std::move(aggregate));
  co_return number;
}
Task<int> prvalue_of_a_function() {
  const int number = co_await number_of(made("xy"));
  co_return number;
}
Task<int> declared_constructor() {
  const Counted value = co_await at_once(Counted("forty"));
  co_return static_cast<int>(value.text.size()) + 37;
}

int run(Task<int> inner) {
  auto results = std::make_shared<std::vector<int>>();
  Task<void> task = into(results, std::move(inner));
  task.start();
  return results->at(0);
}

TEST_F(CoAwait, NamedAggregateThatIsMoved) { EXPECT_EQ(run(named_aggregate()), 42); }
TEST_F(CoAwait, PrvalueOfAFunction) { EXPECT_EQ(run(prvalue_of_a_function()), 42); }
TEST_F(CoAwait, TemporaryOfATypeWithADeclaredConstructor) { EXPECT_EQ(run(declared_constructor()), 42); }

Task<int> in_conditions() {
  int rounds = 0;
  while ((co_await at_once(Counted(std::to_string(rounds)))).text != "3") ++rounds;
  if ((co_await at_once(Counted("yes"))).text == "yes") rounds += 10;
  co_return rounds;
}
TEST_F(CoAwait, ConditionsOfIfAndWhile) { EXPECT_EQ(run(in_conditions()), 13); }

Task<int> named_before_switch() {
  const int number = co_await number_of(made("xy"));
  switch (number) {
    case 42:
      co_return 1;
    default:
      co_return 0;
  }
}
TEST_F(CoAwait, ResultNamedBeforeASwitch) { EXPECT_EQ(run(named_before_switch()), 1); }

// Without symmetric transfer a child that ends at once returns to its parent's loop, not on top of its stack.
Task<int> many_children(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await number_of(made(""));
  co_return sum / 40;
}
TEST_F(CoAwait, ChildrenOneAfterAnotherUseNoStack) { EXPECT_EQ(run(many_children(200'000)), 200'000); }

Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  const Counted here("here");
  const int below = co_await nested(depth - 1);
  co_return below + 1;
}
TEST_F(CoAwait, NestedFramesComeBackInOrder) { EXPECT_EQ(run(nested(200)), 200); }

Task<void> waiting(Gate& gate, Counted held) {
  const Counted local("local");
  co_await gate;
  ADD_FAILURE() << "resumed after it was destroyed: " << held.text;
}
TEST_F(CoAwait, DestroyedWhileSuspendedEverythingGoesOnce) {
  Gate gate;
  {
    Task<void> task = waiting(gate, Counted("argument"));
    task.start();
    EXPECT_TRUE(gate.waited_for());
    EXPECT_GT(Counted::alive, 0);
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST_F(CoAwait, DestroyedBeforeItStartedTheArgumentsGoOnce) {
  Gate gate;
  { const Task<void> task = waiting(gate, Counted("argument")); }
  EXPECT_EQ(Counted::alive, 0);
}

Task<void> named_lambda(Loop& loop, Pool& pool, std::shared_ptr<std::string> result) {
  auto job = [value = Counted("from the pool")] { return value.text; };
  std::string text = co_await pool.run(loop, std::move(job));
  *result = std::move(text);
  loop.stop();
}
TEST_F(CoAwait, LambdaNamedBeforeItGoesToThePool) {
  Loop loop;
  auto result = std::make_shared<std::string>();
  {
    Pool pool(1);
    Task<void> task = named_lambda(loop, pool, result);
    loop.post([&task] { task.start(); });
    loop.run();
    EXPECT_TRUE(task.done());
  }
  EXPECT_EQ(*result, "from the pool");
}

}  // namespace
}  // namespace entrepot::io
